"""What a browser would make of a page, as far as tests ask: elements, texts, references."""

from html.parser import HTMLParser

VOID = {"meta", "input", "br", "link", "img"}
REFERENCES = ("src", "href", "xlink:href", "action", "data", "poster", "srcset", "background", "formaction", "cite")


class Page(HTMLParser):
    """Elements with their attributes and the text inside; `mistakes` are tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.mistakes, self._open = [], [], []
        self.feed(text)
        self.close()
        self.mistakes += [f"{element['tag']} is not closed" for element in self._open]

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attributes": dict(attrs), "text": ""}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "attributes": dict(attrs), "text": ""})

    def handle_endtag(self, tag):
        if self._open and self._open[-1]["tag"] == tag:
            self._open.pop()
        else:
            self.mistakes.append(f"</{tag}> in line {self.getpos()[0]}")

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, tag, **attributes):
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [own for own in self.elements if own["tag"] == tag and wanted.items() <= own["attributes"].items()]

    def references(self):
        """All that names a place, also in style sheets."""
        import re

        named = [own["attributes"][name] for own in self.elements for name in REFERENCES if name in own["attributes"]]
        styles = [own["text"] for own in self.elements if own["tag"] == "style"]
        styles += [value for own in self.elements for value in own["attributes"].values() if value]
        return named + [place for style in styles for place in re.findall(r"url\(\s*['\"]?([^)'\"]*)|@import", style)]
