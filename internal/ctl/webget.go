package ctl

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/MUCZ/Starfish/client"
)

// maxRedirects bounds how far -L goes.
const maxRedirects = 10

// webgetFlags are what webget was asked for.
type webgetFlags struct {
	socketFlags
	output   string
	header   bool
	follow   bool
	insecure bool
	caFile   string
	maxTime  time.Duration
}

func (a *app) webgetCommand() *cobra.Command {
	var flags webgetFlags
	cmd := &cobra.Command{
		Use:   "webget URL | HOST[:PORT] PATH",
		Short: "Get a page over HTTP or HTTPS",
		Long: `Webget sends an HTTP/1.1 GET and writes the body of the answer to stdout. It
fails, after the body, when the status is 400 or more, and instead of a body
when the answer is a redirect, unless -L follows it.

With --json the body needs -o, and stdout gets an object that tells of it.`,
		Example: `  starfishctl webget 10.0.0.2:8080 /hello
  starfishctl webget -L -o page.html http://www.example.org/
  starfishctl webget --native https://www.example.org/`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := pageURL(args)
			if err != nil {
				return err
			}
			if a.json && flags.output == "" {
				return usagef("webget: --json describes the answer on stdout, so that the body needs -o FILE")
			}
			return a.webget(cmd.Context(), &flags, address)
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVarP(&flags.output, "output", "o", "", "write the body to a `file`")
	set.BoolVarP(&flags.header, "include", "i", false, "write the status and the header, too")
	set.BoolVarP(&flags.follow, "location", "L", false, fmt.Sprintf("follow redirects, %d at most", maxRedirects))
	set.BoolVarP(&flags.insecure, "insecure", "k", false, "take any certificate")
	set.StringVar(&flags.caFile, "cacert", "", "trust the certificates in a `file`, instead of the system's")
	set.DurationVarP(&flags.maxTime, "max-time", "m", 0, "give up when it takes longer than this `time`")
	flags.registerSource(cmd)
	flags.register(cmd)
	return cmd
}

// pageURL returns the URL that one argument, or HOST[:PORT] and PATH, mean.
func pageURL(args []string) (*url.URL, error) {
	text := args[0]
	if len(args) == 2 {
		text = "http://" + args[0] + "/" + strings.TrimPrefix(args[1], "/")
	} else if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, usageError{fmt.Errorf("webget: %w", err)}
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, usagef("webget: the scheme of %q is neither http nor https", text)
	case u.Hostname() == "":
		return nil, usagef("webget: %q names no host", text)
	}
	return u, nil
}

func (a *app) webget(ctx context.Context, flags *webgetFlags, address *url.URL) error {
	tlsConfig, err := flags.tlsConfig()
	if err != nil {
		return err
	}
	s, err := a.sockets(&flags.socketFlags)
	if err != nil {
		return err
	}
	defer s.Close()
	if flags.maxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flags.maxTime)
		defer cancel()
	}
	response, err := a.httpClient(s, tlsConfig, flags.follow).Do((&http.Request{
		Method: http.MethodGet, URL: address, Header: http.Header{"User-Agent": {"starfishctl/" + client.Version}},
	}).WithContext(ctx))
	if err != nil {
		return httpCause(err)
	}
	defer response.Body.Close()
	return a.takePage(response, flags)
}

// httpClient speaks HTTP/1.1 over new connections.
func (a *app) httpClient(s sockets, tlsConfig *tls.Config, follow bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				ctx, cancel := a.bounded(ctx)
				defer cancel()
				conn, err := s.dial(ctx, address)
				if err == nil {
					a.say("connected", map[string]any{"local": conn.LocalAddr().String(), "remote": conn.RemoteAddr().String()},
						"connected to %v from %v", conn.RemoteAddr(), conn.LocalAddr())
				}
				return conn, err
			},
			TLSClientConfig:    tlsConfig,
			TLSNextProto:       map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2
			DisableKeepAlives:  true,
			DisableCompression: true, // the body as the server has it
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			switch {
			case !follow:
				return http.ErrUseLastResponse
			case len(via) > maxRedirects:
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return nil
		},
	}
}

func (f *webgetFlags) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: f.insecure} //nolint:gosec // -k says so
	if f.caFile == "" {
		return config, nil
	}
	certificates, err := os.ReadFile(f.caFile)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", f.caFile)
	}
	return config, nil
}

// httpCause leaves out the method and the URL where the error below names the address already.
func httpCause(err error) error {
	var request *url.Error
	if op := new(net.OpError); errors.As(err, &request) && errors.As(err, &op) {
		return request.Err
	}
	return err
}

// takePage writes what the flags ask for of an answer, and says whether it was a page.
func (a *app) takePage(response *http.Response, flags *webgetFlags) error {
	if location := response.Header.Get("Location"); response.StatusCode/100 == 3 && location != "" && !flags.header {
		return fmt.Errorf("GET %s: %s to %s: follow it with -L", response.Request.URL, response.Status, location)
	}
	began := time.Now()
	n, err := a.writePage(response, flags)
	if err != nil {
		return err
	}
	if a.json {
		if err := a.printJSON(map[string]any{
			"url": response.Request.URL.String(), "status": response.StatusCode, "protocol": response.Proto,
			"header": response.Header, "bytes": n, "seconds": time.Since(began).Seconds(),
		}); err != nil {
			return err
		}
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("GET %s: %s", response.Request.URL, response.Status)
	}
	return nil
}

// writePage writes an answer to its place, and returns the length of the body.
func (a *app) writePage(response *http.Response, flags *webgetFlags) (n int64, err error) {
	var to io.Writer = stdoutWriter{a.stdout}
	if flags.output != "" {
		file, err := os.Create(flags.output)
		if err != nil {
			return 0, err
		}
		defer func() {
			if closeErr := file.Close(); err == nil {
				err = closeErr
			}
		}()
		to = file
	}
	if flags.header {
		header, err := httputil.DumpResponse(response, false)
		if err != nil {
			return 0, err
		}
		if _, err := io.Copy(to, bytes.NewReader(header)); err != nil {
			return 0, err
		}
	}
	n, err = io.Copy(to, response.Body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("GET %s: the connection ended after %d bytes of %d", response.Request.URL, n, response.ContentLength)
	}
	return n, err
}
