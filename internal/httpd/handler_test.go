package httpd

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/MUCZ/Starfish/internal/chargen"
)

func request(t *testing.T, h http.Handler, method, path, byteRange string) (status int, length, body string) {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Result().Header.Get("Content-Length"), w.Body.String()
}

func TestHandler(t *testing.T) {
	characters, err := io.ReadAll(io.NewSectionReader(chargen.Pattern{Size: 100}, 0, 100))
	if err != nil {
		t.Fatal(err)
	}
	all := string(characters)
	plain, files := Handler(nil), Handler(fstest.MapFS{"a/b.txt": {Data: []byte("file")}})
	for _, c := range []struct {
		h                       http.Handler
		method, path, byteRange string
		status                  int
		length, body            string
	}{
		{plain, "GET", "/hello", "", 200, "13", "hello, world!"},
		{plain, "GET", "/bye", "", 200, "4", "bye!"},
		{plain, "GET", "/bytes/100", "", 200, "100", all},
		{plain, "HEAD", "/bytes/1000000000000", "", 200, "1000000000000", ""},
		{plain, "GET", "/bytes/100", "bytes=10-19", 206, "10", all[10:20]},
		{plain, "GET", "/bytes/0", "", 200, "0", ""},
		{plain, "GET", "/bytes/1099511627777", "", 400, "", "/bytes/N wants a number from 0 to 1099511627776\n"},
		{plain, "GET", "/bytes/-1", "", 400, "", "/bytes/N wants a number from 0 to 1099511627776\n"},
		{plain, "GET", "/a/b.txt", "", 404, "", "404 page not found\n"},
		{plain, "POST", "/hello", "", 405, "", "Method Not Allowed\n"},
		{files, "GET", "/a/b.txt", "", 200, "4", "file"},
		{files, "GET", "/a/../../etc/passwd", "", 307, "", ""},
		{files, "GET", "/bye", "", 200, "4", "bye!"},
	} {
		status, length, body := request(t, c.h, c.method, c.path, c.byteRange)
		if c.status == 307 { // the mux sends cleaned paths back
			body = ""
		}
		if status != c.status || c.length != "" && length != c.length || body != c.body {
			t.Errorf("%s %s %s: %d, length %s, %q; want %d, %s, %q", c.method, c.path, c.byteRange, status, length, body, c.status, c.length, c.body)
		}
	}
	if _, _, body := request(t, plain, "GET", "/", ""); !strings.Contains(body, "/bytes/N") {
		t.Errorf("the first page is %q", body)
	}
}
