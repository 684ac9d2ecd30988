"""Texts that try to be more than text: 29 of them in 13 disguises (trust S37). Each carries MARK, to be found again."""

import html
from urllib.parse import quote

MARK = "zq77"

SEEDS = [
    "<script>alert('{m}')</script>", "<img src=x onerror=alert('{m}')>", "<svg/onload=alert('{m}')>", "<iframe src=//{m}.example>",
    "<a href=javascript:alert('{m}')>x</a>", "<body onpageshow=alert('{m}')>", "<details open ontoggle=alert('{m}')>",
    "</script><script>alert('{m}')</script>", "</textarea><script>alert('{m}')</script>", "</title><script>{m}()</script>",
    "</style><script>{m}()</script>", "--><script>{m}()</script>", "]]><script>{m}()</script>", "\" onmouseover=\"{m}()\" x=\"",
    "' onfocus='{m}()' autofocus='", "\" x-init=\"{m}()\" y=\"", "\" @click=\"{m}()\" y=\"", "javascript:{m}()//",
    "data:text/html,<script>{m}()</script>", "{{{{ {m}.__class__ }}}}", "{{% load {m} %}}", "=HYPERLINK(\"//{m}.example\")",
    "+{m}|' /C calc'!A0", "@SUM({m})", "'; DROP TABLE partners_partner; --{m}", "<base href=//{m}.example>", "<object data=//{m}.example>", "<link rel=stylesheet href=//{m}.example>",
    "<meta http-equiv=refresh content='0;url=//{m}.example'>",
]  # fmt: skip

DISGUISES = [
    lambda text: text,
    str.upper,
    str.swapcase,
    html.escape,
    quote,
    lambda text: f'">{text}',
    lambda text: f"'>{text}",
    lambda text: f'\\"{text}',
    lambda text: text.replace("<", "\uff1c").replace(">", "\uff1e"),
    lambda text: text.replace("<", "<\t").replace("=", "\n="),
    lambda text: f"\u202e{text}\u2066",
    lambda text: f"\r\nX-{MARK}: 1\r\n\r\n{text}",
    lambda text: text.replace("<", "<<"),
]

PAYLOADS = [disguise(seed.format(m=f"{MARK}{number}")) for number, seed in enumerate(SEEDS) for disguise in DISGUISES]
