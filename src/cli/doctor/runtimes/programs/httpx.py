import sys

try:
    import httpx
except ImportError:
    sys.exit(3)
sys.stdout.write(httpx.get(sys.argv[1], timeout=20).text)
