#!/bin/sh
# What Apache runs for the paths that files cannot answer. Stands in DIR/cgi.
dir=${0%/*}/..
case $REQUEST_URI in
/empty) printf 'Status: 204 No Content\n\n' ;;
/upload)
    hash=$(sha256sum)
    printf 'Content-Type: text/plain\n\n%s' "${hash%% *}"
    ;;
/slow)
    printf 'Content-Type: text/plain\n\n'
    for part in 0 1 2; do
        printf 'part %s\n' "$part"
        until [ -e "$dir/go-$part" ]; do sleep 0.01; done
    done
    ;;
*) printf 'Content-Type: text/plain\n\none \006two \006three' ;;
esac
