"""Escaping: what each format shows is the text itself."""

from bench.report.text import latex, markdown, markdown_row


def test_every_special_character_has_a_form():
    assert latex(r"a_b%c#d$e&f{g}~^\<>") == (
        r"a\_b\%c\#d\$e\&f\{g\}\textasciitilde{}\textasciicircum{}\textbackslash{}\textless{}\textgreater{}"
    )


def test_what_markdown_would_take_for_a_tag_or_emphasis_is_escaped():
    assert markdown("<b> *x*") == "&lt;b> \\*x\\*"
    assert markdown_row(["a|b", "c"]) == "| a\\|b | c |"
