"""The origin: nginx with one worker on the load's core, sending files from memory."""

from pathlib import Path

from . import nginx

SMALL_REPLY = b"ok\n"  # the answer to POST
CHUNKS = (1024, 2048, 1024)  # bytes; what /chunked sends, one chunk each


def command(binary: str, directory: Path, port: int) -> list[str]:
    files = directory / "files"
    files.mkdir()
    for name, size in (("1k", 1024), ("10k", 10 * 1024), ("100k", 100 * 1024), ("1m", 1 << 20)):
        (files / name).write_bytes(b"p" * size)
    for name, size in zip(("chunk-a", "chunk-b.html", "chunk-c"), CHUNKS, strict=True):
        (files / name).write_bytes(b"c" * size)
    return nginx.start(binary, directory, config(directory, files, port))


def config(directory: Path, files: Path, port: int) -> str:
    """The body around /chunked's file comes from subrequests, so nginx cannot know the
    length and sends chunks."""
    return f"""{nginx.preamble(directory)}
http {{
    {nginx.temporary_paths(directory)}
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100 inactive=1h;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    default_type text/html;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {files};
        location = /post {{ return 200 "{SMALL_REPLY.decode().strip()}\\n"; }}
        location = /chunked {{
            add_before_body /chunk-a;
            add_after_body /chunk-c;
            try_files /chunk-b.html =404;
        }}
        location /team- {{ try_files /1k =404; }}
        location / {{ }}
    }}
}}
"""
