// Package httpd is the small test server of starfishctl httpd.
package httpd

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/MUCZ/Starfish/internal/chargen"
)

// maxBytes bounds what /bytes/N sends.
const maxBytes = 1 << 40

// Handler serves /hello, /bye and /bytes/N, and the files of root; without a root, a page that names these three.
func Handler(root fs.FS) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", text("hello, world!"))
	mux.HandleFunc("GET /bye", text("bye!"))
	mux.HandleFunc("GET /bytes/{n}", sendBytes)
	if root != nil {
		mux.Handle("GET /", http.FileServerFS(root))
	} else {
		mux.HandleFunc("GET /{$}", text("/hello\n/bye\n/bytes/N   N bytes of RFC 864's characters\n"))
	}
	return mux
}

func text(content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = io.WriteString(w, content) // a client that has gone misses nothing
	}
}

func sendBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n > maxBytes {
		http.Error(w, fmt.Sprintf("/bytes/N wants a number from 0 to %d", int64(maxBytes)), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=us-ascii")
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(chargen.Pattern{Size: n}, 0, n))
}
