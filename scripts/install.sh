#!/usr/bin/env bash
# usage: PREFIX=… DESTDIR=… install.sh      ('make install' calls it)
#
# Installs what was built where a distribution would. Without DESTDIR it also makes the
# group and tells systemd.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "$0")/lib.sh"
cd "$(dirname -- "$0")/.."

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
BINDIR=$PREFIX/bin
LIBDIR=$PREFIX/lib

put() { install -D "$@"; }

# put_unit FILE TARGET: with the paths of this installation.
put_unit() {
	mkdir -p -- "$(dirname -- "$2")"
	sed -e "s|/usr/bin/|$BINDIR/|" -e "s|/usr/lib/starfish/|$LIBDIR/starfish/|" "$1" >"$2"
	chmod 644 "$2"
}

put_completions() {
	local ctl=bin/starfishctl share=$DESTDIR$PREFIX/share
	mkdir -p "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
	"$ctl" completion bash >"$share/bash-completion/completions/starfishctl"
	"$ctl" completion zsh >"$share/zsh/site-functions/_starfishctl"
	"$ctl" completion fish >"$share/fish/vendor_completions.d/starfishctl.fish"
}

main() {
	if [ -z "$DESTDIR" ] && ! is_root && [ ! -w "$PREFIX" ]; then
		die "$PREFIX is not yours to write: sudo make install, or make install PREFIX=\$HOME/.local"
	fi
	put -m 755 bin/starfishd bin/starfishctl -t "$DESTDIR$BINDIR"
	put -m 755 tun.sh -t "$DESTDIR$LIBDIR/starfish"
	put -m 644 scripts/lib.sh -t "$DESTDIR$LIBDIR/starfish/scripts"
	put -m 644 scripts/tun/*.sh -t "$DESTDIR$LIBDIR/starfish/scripts/tun"
	mkdir -p "$DESTDIR$PREFIX/sbin"
	ln -sf "$LIBDIR/starfish/tun.sh" "$DESTDIR$PREFIX/sbin/starfish-tun"
	put_unit deploy/systemd/starfishd.service "$DESTDIR$LIBDIR/systemd/system/starfishd.service"
	put_unit deploy/systemd/starfish-tun@.service "$DESTDIR$LIBDIR/systemd/system/starfish-tun@.service"
	put -m 644 deploy/systemd/starfish.sysusers "$DESTDIR$LIBDIR/sysusers.d/starfish.conf"
	put -m 644 deploy/systemd/starfish.tmpfiles "$DESTDIR$LIBDIR/tmpfiles.d/starfish.conf"
	put_completions
	if [ -z "$DESTDIR" ] && is_root && [ -d /run/systemd/system ]; then
		systemd-sysusers "$LIBDIR/sysusers.d/starfish.conf"
		systemd-tmpfiles --create "$LIBDIR/tmpfiles.d/starfish.conf"
		systemctl daemon-reload
		say "installed; next: systemctl enable --now starfishd, and adduser YOU starfish"
	else
		say "installed below $DESTDIR$PREFIX"
	fi
}

main "$@"
