"""The yardstick: nginx with one worker, passing the same bytes to the same origin."""

import getpass
import os
from pathlib import Path

from bench.children import Children, free_port
from bench.target import Target

CONFIG = """\
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 16000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    # Bodies stay in memory, as they do in the gateway.
    client_max_body_size 8m;
    client_body_buffer_size 2m;
    keepalive_requests 1000000000;
    upstream origin {{
        server 127.0.0.1:{origin_port};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=8192;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 120s;
        }}
    }}
}}
"""


def start_nginx(children: Children, *, origin_port: int, core: int) -> Target:
    """Start nginx in the foreground and wait until it listens."""
    port = free_port()
    config = children.folder / "nginx.conf"
    config.write_text(_config(children.folder, port=port, origin_port=origin_port))
    child = children.start(
        "nginx",
        ["nginx", "-c", str(config), "-p", str(children.folder)],
        core=core,
        environment={},
    )
    children.wait_listening("nginx", child, port)
    return Target("nginx", port=port, pid=child.pid)


def _config(folder: Path, *, port: int, origin_port: int) -> str:
    # Started by root, nginx would run its worker as a user who can't enter the folder.
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    return CONFIG.format(user=user, folder=folder, port=port, origin_port=origin_port)
