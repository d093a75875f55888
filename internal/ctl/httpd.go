package ctl

import (
	"context"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/internal/httpd"
)

const (
	// headerTime is what a client has to send a request's header, idleTime what it may wait before the next one.
	headerTime, idleTime = 10 * time.Second, 2 * time.Minute
	// maxHeader bounds a request's header.
	maxHeader = 64 << 10
	// finishTime is what requests under way have when the program is interrupted.
	finishTime = 2 * time.Second
)

func (a *app) httpdCommand() *cobra.Command {
	var flags socketFlags
	var root string
	cmd := &cobra.Command{
		Use:   "httpd [ADDR:]PORT",
		Short: "Serve some test pages, or a directory, over HTTP",
		Long: `Httpd serves /hello ("hello, world!"), /bye ("bye!"), /bytes/N (N bytes of the
characters that chargen sends; ranges are understood) and, with --root, the
files of a directory. It runs until it is interrupted. With -v it logs each
request.`,
		Example: `  starfishctl httpd 8080
  starfishctl httpd --root /srv/www 10.144.0.2:80
  starfishctl httpd --native 127.0.0.1:8080`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := listenTarget(args)
			if err != nil {
				return err
			}
			return a.httpd(cmd.Context(), &flags, root, address)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&root, "root", "", "serve the files of a `directory`; links that leave it are not followed")
	flags.register(cmd)
	return cmd
}

func (a *app) httpd(ctx context.Context, flags *socketFlags, root, address string) error {
	var files fs.FS
	if root != "" {
		directory, err := os.OpenRoot(root)
		if err != nil {
			return err
		}
		defer directory.Close()
		files = directory.FS()
	}
	s, err := a.sockets(flags)
	if err != nil {
		return err
	}
	defer s.Close()
	openCtx, cancel := a.bounded(ctx)
	defer cancel()
	listener, err := s.listen(openCtx, address)
	if err != nil {
		return err
	}
	a.announce(listener.Addr())
	server := &http.Server{
		Handler:           a.logged(httpd.Handler(files)),
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(a.stderr, "starfishctl: ", 0),
	}
	return serveUntil(ctx, server, listener)
}

// serveUntil serves until ctx ends, and gives requests under way a moment.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		finishCtx, cancel := context.WithTimeout(context.Background(), finishTime)
		defer cancel()
		if server.Shutdown(finishCtx) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-finished
		return context.Cause(ctx)
	}
	return err
}

// announce says where a server listens.
func (a *app) announce(address net.Addr) {
	if a.json {
		_ = writeJSON(a.stderr, map[string]any{"event": "listening", "local": address.String()})
		return
	}
	_, _ = a.stderr.Write([]byte("listening on " + address.String() + "\n")) // as above
}

// logged says each request, with -v.
func (a *app) logged(h http.Handler) http.Handler {
	if !a.verbose {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := httpsnoop.CaptureMetrics(h, w, r)
		a.say("request", map[string]any{
			"remote": r.RemoteAddr, "method": r.Method, "path": r.URL.RequestURI(), "status": m.Code,
			"bytes": m.Written, "seconds": m.Duration.Seconds(),
		}, "%s %q %d %d %v", r.RemoteAddr, r.Method+" "+r.URL.RequestURI()+" "+r.Proto, m.Code, m.Written,
			m.Duration.Round(10*time.Microsecond))
	})
}
