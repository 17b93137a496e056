"""The state of tokenizing one user agent: which words are consumed, and what they have revealed so far.

The first system with a version wins, and the last browser with a version. The first bot wins over the browsers before
it, but a browser after it wins over the bot. The rules that call this are in `user_agent_tokens`.
"""

import attrs

Token = tuple[str, str | None]
"""A name, and its version or None."""


@attrs.define(eq=False, repr=False)
class TokenReading:
    """The state of tokenizing one user agent.

    Attributes:
        words: The words of the user agent.
        position: The index of the current word.
        tokens: Tokens so far: names, each with its version or None.
        os: The operating system found so far.
        browser: The browser found so far.
        has_bot: Whether a bot was found.
        hints: Marks such as `ios` or `mobile` that are neither system nor browser.
    """

    words: list[str]
    position: int = 0
    tokens: list[Token] = attrs.Factory(list)
    os: Token | None = None
    browser: Token | None = None
    has_bot: bool = False
    hints: set[str] = attrs.Factory(set)

    def word(self, ahead: int) -> str:
        """Return the word that many words after the current one; "" past the end."""
        index = self.position + ahead
        return self.words[index] if index < len(self.words) else ""

    def take_version(self, ahead: int) -> str | None:
        """Return the word `ahead` and consume a word, if it starts with a digit; else return None."""
        word = self.word(ahead)
        if word[:1].isdigit() and word[0].isascii():
            self.position += 1
            return word
        return None

    def add(self, name: str, version: str | None = None) -> None:
        """Add a token."""
        self.tokens.append((name, version))

    def add_os(self, name: str, version: str | None = None) -> None:
        """Add an operating system; the first one with a version wins."""
        self.tokens.append((name, version))
        if self.os is None and version is not None:
            self.os = (name, version)

    def add_browser(self, name: str, version: str | None) -> None:
        """Add a browser; the last one with a version wins."""
        self.tokens.append((name, version))
        if version is not None:
            self.browser = (name, version)

    def add_bot(self, name: str, version: str | None = None) -> None:
        """Add a bot; the first one wins over the browsers before it, not over those after it."""
        if not self.has_bot:
            self.has_bot, self.browser = True, (name, version)
