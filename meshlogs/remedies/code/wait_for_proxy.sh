#!/bin/sh
# Entrypoint that waits until the pod's proxy is ready, then becomes the program it is given:
#     ENTRYPOINT ["/wait_for_proxy.sh"]   CMD ["/app/server", "--flag"]
# PROXY_READY_URL says where to ask; without it (a pod that has no proxy) it does not wait.
# PROXY_WAIT_SECONDS (300) is how long it waits before it gives up with exit code 69. Needs wget or curl.
# A Job must also end its proxy when it is done: POST http://localhost:15020/quitquitquit.
set -eu

ready() {
    if command -v wget >/dev/null 2>&1; then
        wget -q -T 1 -O /dev/null "$PROXY_READY_URL" 2>/dev/null
    else
        curl -fsS -m 1 -o /dev/null "$PROXY_READY_URL" 2>/dev/null
    fi
}

if [ -n "${PROXY_READY_URL:-}" ]; then
    deadline=$(($(date +%s) + ${PROXY_WAIT_SECONDS:-300}))
    until ready; do
        if [ "$(date +%s)" -ge "$deadline" ]; then
            echo "the proxy is not ready at $PROXY_READY_URL" >&2
            exit 69
        fi
        sleep 0.5 2>/dev/null || sleep 1
    done
fi
exec "$@"
