// Go's net/http. Usage: BASE NAME FILE; prints the answers as JSON.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(answer *http.Response, err error) json.RawMessage {
	must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(err)
	if answer.StatusCode != 200 {
		must(fmt.Errorf("%s: %s", answer.Status, body))
	}
	return body
}

func main() {
	base, name, file := os.Args[1], os.Args[2], os.Args[3]
	got := map[string]any{}
	got["get"] = read(http.Get(base + "/v1/item?q=one"))
	got["post"] = read(http.Post(base+"/v1/echo", "text/plain", strings.NewReader("hello there")))
	data, err := os.Open(file)
	must(err)
	got["upload"] = read(http.Post(base+"/v1/upload", "application/octet-stream", data))
	answer, err := http.Get(base + "/v1/stream")
	must(err)
	stream := []string{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "data: ") {
			continue
		}
		number := strings.TrimPrefix(lines.Text(), "data: ")
		stream = append(stream, number)
		if number == "0" {
			read(http.Get(base + "/v1/item?q=seen-" + name))
		}
	}
	must(lines.Err())
	got["stream"] = stream
	got["http"] = strings.TrimSuffix(strings.TrimPrefix(answer.Proto, "HTTP/"), ".0")
	must(json.NewEncoder(os.Stdout).Encode(got))
}
