"""What a browser would send of a page's form."""

from html.parser import HTMLParser


class Controls(HTMLParser):
    """Names and values of everything inside the admin's own forms, those of one row and of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self._form = False
        self._select = self._text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        name = given.get("name") or ""
        if tag == "form":
            id_ = given.get("id") or ""
            self._form = given.get("method") == "post" and (id_.endswith("_form") or id_ == "changelist-form")
        elif not self._form:
            return
        elif tag == "select":
            self._select = name
            self.sent.setdefault(name, [])
        elif tag == "option" and self._select and "selected" in given:
            self.sent[self._select].append(given.get("value") or "")
        elif tag == "textarea":
            self._text = name
            self.sent[name] = [""]
        elif tag == "input" and name:
            self._take(name, given)

    def _take(self, name: str, given: dict[str, str | None]) -> None:
        values = self.sent.setdefault(name, [])
        if given.get("type") not in ("checkbox", "radio"):
            values.append(given.get("value") or "")
        elif "checked" in given:
            values.append(given.get("value") or "on")

    def handle_data(self, data: str) -> None:
        if self._text:
            self.sent[self._text] = [self.sent[self._text][0] + data]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._text:
            # The first line break is the page's.
            self.sent[self._text] = [self.sent[self._text][0].removeprefix("\n")]
            self._text = ""
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._form = False


def controls(page: str) -> dict[str, list[str]]:
    found = Controls()
    found.feed(page)
    return {name: values for name, values in found.sent.items() if "__prefix__" not in name}
