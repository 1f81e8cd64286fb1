// Answers every request with what it took it for, and says so on stdout.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

func main() {
	var line sync.Mutex
	answer := func(w http.ResponseWriter, r *http.Request) {
		size, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		text := fmt.Sprintf("%s %s %d", r.Method, r.RequestURI, size)
		line.Lock()
		fmt.Println(text)
		line.Unlock()
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		io.WriteString(w, text)
	}
	err := http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(answer))
	fmt.Fprintln(os.Stderr, err)
}
