"""Calls of entries.list: in pages, within the quota, tried again when the service falters."""

import re
from collections import deque
from collections.abc import Callable, Iterator

from meshlogs.errors import FetchError
from meshlogs.text import clean

PAGE = 1_000
PER_MINUTE, MINUTE = 60, 60.0
# Seconds to wait before a call is tried again: doubled each time, up to a minute.
FIRST_WAIT, LONGEST_WAIT, TRIES = 1.0, 60.0, 8
TIMEOUT = 120.0  # seconds for one call
ANEW = 5  # how often a list is begun anew because its page token was refused


class Calls:
    """Lists entries of one project. `clock` gives seconds and never goes back; `sleep` waits so many."""

    def __init__(self, client, project: str, clock: Callable[[], float], sleep: Callable[[float], None]):
        self.made = 0
        self.watch: Callable[[], None] = lambda: None  # is called after each page
        self._client, self._project, self._clock, self._sleep = client, project, clock, sleep
        self._times: deque[float] = deque()

    def entries(self, text: str) -> Iterator:
        """The entries (protobuf) that a filter finds, by time; some perhaps twice. Raises FetchError."""
        for _ in range(ANEW):
            token = ""
            while True:
                page = self._page(text, token)
                if page is None:
                    break  # the token has expired: from the start
                self.watch()
                yield from page.entries
                token = page.next_page_token
                if not token:
                    return
        raise FetchError(self._project, f"page tokens were refused {ANEW} times", "Run the same command again later.")

    def _page(self, text: str, token: str):
        """One page; None if its token was refused."""
        from google.api_core import exceptions as errors

        passing = (
            errors.ServiceUnavailable, errors.ResourceExhausted, errors.TooManyRequests, errors.DeadlineExceeded,
            errors.InternalServerError, errors.Aborted, errors.Cancelled, errors.Unknown,
        )  # fmt: skip
        wait = FIRST_WAIT
        for tried in range(1, TRIES + 1):
            try:
                return self._call(text, token)
            except passing as error:
                if _LOCKED.search(str(error)):
                    raise FetchError(self._project, f"cannot log in: {_told(error)}", LOG_IN) from error
                if tried == TRIES:
                    told = f"the service failed {TRIES} times: {_told(error)}"
                    raise FetchError(self._project, told, "Run the same command again: it goes on.") from error
                self._sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            except errors.InvalidArgument as error:
                if token:
                    return None
                raise FetchError(self._project, f"the filter was refused: {_told(error)}", _REPORT) from error
            except errors.Unauthenticated as error:
                raise FetchError(self._project, f"cannot log in: {_told(error)}", f"{LOG_IN} {_ACCESS}") from error
            except (errors.PermissionDenied, errors.NotFound) as error:
                raise FetchError(self._project, f"no access: {_told(error)}", _ACCESS) from error
            except errors.GoogleAPICallError as error:
                raise FetchError(self._project, f"the call failed: {_told(error)}") from error
        return None

    def _call(self, text: str, token: str):
        self._keep_quota()
        self.made += 1
        request = {
            "resource_names": [f"projects/{self._project}"],
            "filter": text,
            "order_by": "timestamp asc",
            "page_size": PAGE,
            "page_token": token,
        }
        pager = self._client.list_log_entries(request, retry=None, timeout=TIMEOUT)
        page = next(pager.pages)
        return type(page).pb(page)

    def _keep_quota(self) -> None:
        """Wait until fewer than 60 calls were made within the last minute."""
        while len(self._times) >= PER_MINUTE and (wait := self._times[0] + MINUTE - self._clock()) > 0:
            self._sleep(wait)
        while len(self._times) >= PER_MINUTE:
            self._times.popleft()
        self._times.append(self._clock())


_ACCESS = (
    "Who runs this needs logging.logEntries.list on the project (role roles/logging.viewer); check the project's name."
)
_REPORT = "Limit the names that are asked for; if that does not help, it is a fault of meshlogs."
# How the library tells, as a failing service, that credentials have expired or were withdrawn. (google-auth, grpc)
_LOCKED = re.compile(
    r"Getting metadata from plugin failed.*(Refresh ?Error|[Rr]eauth|invalid_grant|invalid_rapt)", re.DOTALL
)
LOG_IN = "Run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS."


def _told(error: Exception) -> str:
    return clean(getattr(error, "message", None) or str(error), 300)
