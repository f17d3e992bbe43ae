#!/bin/sh
# One image, one role per container: web (default), worker, beat, migrate, or any manage.py command.
set -eu
cd "${LLM_PROXY_HOME:-/app}"

role="${1:-web}"
[ "$#" -gt 0 ] && shift
case "$role" in
web) exec python manage.py serve "$@" ;;
# The program reads LOG_LEVEL by itself; Celery knows fewer words for it, and would not start.
worker) exec celery -A proxy_site worker --concurrency "${CELERY_CONCURRENCY:-4}" --pool threads "$@" ;;
beat) exec celery -A proxy_site beat --pidfile= "$@" ;;
migrate) exec python manage.py migrate --noinput "$@" ;;
*) exec python manage.py "$role" "$@" ;;
esac
