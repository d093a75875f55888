// Package fragment puts IP packets together that came in fragments (RFC 791 §3.2, RFC 8200 §4.5), within bounds.
package fragment
