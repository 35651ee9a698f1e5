// Go's net/http: client URL CA-FILE SCENARIO; prints what became of it as JSON.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
	"sync/atomic"
)

var url = os.Args[1]
var client *http.Client

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func get(path string) (string, error) {
	answer, err := client.Get(url + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

func parallel() any {
	get("/") // so that there is a connection
	bodies := make([]string, 200)
	var group sync.WaitGroup
	for i := range bodies {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			body, err := get("/")
			if err != nil {
				body = err.Error()
			}
			bodies[i] = body
		}(i)
	}
	group.Wait()
	return bodies
}

func echo() any {
	sent := bytes.Repeat([]byte("0123456789abcdef"), 10<<16)
	answer, err := client.Post(url+"/echo", "text/plain", bytes.NewReader(sent))
	must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(err)
	return bytes.Equal(body, sent)
}

func trailers() any {
	request, err := http.NewRequest("POST", url+"/trailers", io.NopCloser(bytes.NewReader([]byte("abc"))))
	must(err)
	request.Trailer = http.Header{"X-Checksum": {"1"}, "Etag": {"a"}}
	answer, err := client.Do(request)
	must(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(err)
	told := map[string]string{}
	for name := range answer.Trailer {
		told[http.CanonicalHeaderKey(name)] = answer.Trailer.Get(name)
	}
	return []any{string(body), told}
}

func hints() any {
	links := []string{}
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, fields textproto.MIMEHeader) error {
		links = append(links, fields.Get("Link"))
		return nil
	}}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", url+"/hints", nil)
	must(err)
	answer, err := client.Do(request)
	must(err)
	answer.Body.Close()
	return []any{answer.StatusCode, links}
}

func cancel() any {
	ctx, stop := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, "GET", url+"/endless", nil)
	must(err)
	answer, err := client.Do(request)
	must(err)
	_, err = io.CopyN(io.Discard, answer.Body, 1<<20)
	must(err)
	stop()
	answer.Body.Close()
	after, err := client.Get(url + "/")
	must(err)
	after.Body.Close()
	return after.StatusCode
}

func load() any {
	var ended atomic.Bool
	go func() {
		io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	var answered atomic.Int64
	var lock sync.Mutex
	failed := []string{}
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for !ended.Load() {
				if _, err := get("/"); err != nil {
					lock.Lock()
					failed = append(failed, err.Error())
					lock.Unlock()
				} else {
					answered.Add(1)
				}
			}
		}()
	}
	group.Wait()
	return map[string]any{"answered": answered.Load(), "failed": failed}
}

func main() {
	authority, err := os.ReadFile(os.Args[2])
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client = &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: true,
	}}
	scenarios := map[string]func() any{"parallel": parallel, "echo": echo, "trailers": trailers,
		"hints": hints, "cancel": cancel, "load": load}
	must(json.NewEncoder(os.Stdout).Encode(scenarios[os.Args[3]]()))
}
