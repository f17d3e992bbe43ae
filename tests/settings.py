"""The product's settings, with a data directory of the run's own, and PostgreSQL if TEST_DATABASE_URL names one."""

import os
import tempfile

os.environ["PROXY_API_ENV_FILE"] = "/dev/null"
os.environ["PROXY_API_DATA_DIR"] = tempfile.mkdtemp(prefix="llm-proxy-test-")
os.environ["PROXY_API_SECRET_KEY"] = "test-secret-key-that-is-long-enough-0123456789"
os.environ["PROXY_API_ENCRYPTION_KEYS"] = "6KkOAXwWwUQ8iTPIdv1SvdM_Oyi8y1-50vb2tQilOHk="
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["REDIS_URL"] = ""

from providers.proxies import Proxies
from proxy_site.settings import *  # noqa: F403
from proxy_site.settings import DATA_DIR, DATABASES

if not os.environ["DATABASE_URL"]:
    # A file, not memory: the server's threads and the test share it as they do in production.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    # Nothing stays open behind a test.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
# Whatever the machine of the tests has: names of tests are not to be asked of a proxy.
UPSTREAM_PROXIES = Proxies()
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AXES_ENABLED = False
# Otherwise each test client begins with reading the whole list of static files.
WHITENOISE_AUTOREFRESH = True
