"""Is this a robot?

In:    the User-Agent text of a browser or a robot.
Out:   the robot's kind, or None. Events of robots are flagged, never dropped.
Never: a verdict about a library of ours or Segment's: a server's SDK is not a robot.
"""

import re
from functools import lru_cache

# What robots call themselves. "cubot" is a phone; the look-behind keeps it a person.
_MARKS: tuple[tuple[str, str], ...] = (
    ("search", r"googlebot|bingbot|yandex(?:bot|images)|baiduspider|duckduckbot|applebot|slurp|petalbot|seznambot"),
    ("ai", r"gptbot|chatgpt-user|oai-searchbot|claudebot|claude-web|perplexitybot|bytespider|ccbot|amazonbot"),
    (
        "preview",
        r"facebookexternalhit|facebot|twitterbot|linkedinbot|slackbot|telegrambot|whatsapp/|discordbot",
    ),
    (
        "monitor",
        r"pingdom|uptimerobot|statuscake|datadogsynthetics|newrelicpinger|site24x7|lighthouse|gtmetrix",
    ),
    ("headless", r"headlesschrome|phantomjs|selenium|puppeteer|playwright|electron-scraper"),
    ("tool", r"^curl/|^wget/|python-requests|scrapy|httpclient|go-http-client|libwww-perl|okhttp-crawler"),
    ("other", r"(?<!cu)bot\b|crawl(?:er|ing)|spider\b|archiver\b"),
)
_PATTERN = re.compile("|".join(f"(?P<{kind}>{marks})" for kind, marks in _MARKS), re.IGNORECASE)


@lru_cache(maxsize=2048)
def bot_kind(user_agent: str) -> str | None:
    """Say what kind of robot sends this User-Agent; None for a person's browser.

    >>> bot_kind("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    'search'
    >>> bot_kind("Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36")
    """
    # 512: a longer text is no browser's, and the pattern must not be fed a page of it.
    found = _PATTERN.search(user_agent[:512])
    return found.lastgroup if found else None
