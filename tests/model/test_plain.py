"""Text of others stays text: nothing in it steers what shows it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapbench.model.plain import one_line, plain_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clip\x1b]0;title\x07", r"clip\x1b]0;title\x07"),
        ("a\x9b2J\x7f", r"a\x9b2J\x7f"),
        ("\u202eevil\u2069", r"\u202eevil\u2069"),
        ("\U000e0041", r"\U000e0041"),
        ("a\u2028b", r"a\u2028b"),
        ("\udcff", r"\udcff"),
        ("one\r\ntwo\rthree", "one\\x0d\ntwo\\x0dthree"),
        ("ärger 日本 عربي 👩\u200d🔬 می\u200cخواهم\ttab\n", "ärger 日本 عربي 👩\u200d🔬 می\u200cخواهم\ttab\n"),
    ],
)
def test_what_steers_is_shown_and_what_is_text_stays(text, shown):
    assert plain_text(text) == shown


def test_one_line_is_one_line():
    assert one_line(" a\r\n\tb\u2028c\x85d\x0be\x1b ") == r"a b c d e\x1b"


@given(st.text())
def test_nothing_that_steers_is_left_and_doing_it_again_changes_nothing(text):
    shown = one_line(text)
    assert all(unicodedata.category(sign) not in ("Cc", "Cs", "Zl", "Zp") for sign in shown)
    assert "\n" not in shown
    assert one_line(shown) == shown
    shown.encode()
