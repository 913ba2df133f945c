import sys

try:
    import requests
except ImportError:
    sys.exit(3)
sys.stdout.write(requests.get(sys.argv[1], timeout=20).text)
