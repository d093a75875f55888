package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestHTTP(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		c := peer.open(t)
		l := peer.listen(t, c, way)
		server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				_, _ = w.Write(body)
			})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		d := Dialer{Client: c, Transport: way}
		transport := &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 4}
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				for j := range 5 {
					body := bytes.Repeat(fmt.Appendf(nil, "%d/%d ", i, j), 10_000)
					if err := echo(transport, l.Addr(), body); err != nil {
						t.Error(err)
					}
				}
			})
		}
		clients.Wait()
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func echo(transport *http.Transport, addr net.Addr, body []byte) error {
	h := http.Client{Transport: transport, Timeout: 30 * time.Second}
	response, err := h.Post("http://"+addr.String()+"/", "text/plain", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err == nil && !bytes.Equal(got, body) {
		err = fmt.Errorf("%d bytes came back, not the %d that were sent", len(got), len(body))
	}
	return err
}
