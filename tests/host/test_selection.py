"""Selection syntax: names, globs, families, parameters and sweeps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.errors import UsageError
from gapbench.host.registry import Component, Kind, Origin, Plugin, Registry
from gapbench.host.selection import select
from gapbench.specs import ActsOn, AlignerSpec, Param, PromptSpec

ORIGIN = Origin("toy", "1.0", "toy", "toy")


def toy_registry():
    params = {
        "flag": Param(default=False, doc=""),
        "count": Param(default=3, low=0, high=10, doc=""),
        "size": Param(default=0.5, low=-2.0, high=2.0, doc=""),
        "side": Param(default="both", choices=("both", "left"), doc=""),
    }
    aligners = [
        AlignerSpec(name=name, factory="toy:A", summary="", family="", needs=frozenset(), acts_on=ActsOn.BOTH, params=p)
        for name, p in (("shift", params), ("shove", {}), ("other", {}))
    ]
    prompts = [
        PromptSpec(name="plain", factory="toy:P", summary=""),
        PromptSpec(name="template", factory="toy:T", summary="", argument="TEXT"),
    ]
    components = [Component(Kind.ALIGNER, spec, ORIGIN) for spec in aligners]
    components += [Component(Kind.PROMPTS, spec, ORIGIN) for spec in prompts]
    return Registry([Plugin(ORIGIN, (), tuple(components))], [])


REGISTRY = toy_registry()


def labels(*patterns, kind=Kind.ALIGNER):
    return [selected.label for selected in select(REGISTRY, kind, patterns)]


def test_nothing_selects_everything_that_needs_no_argument():
    assert labels() == ["shift", "shove", "other"]
    assert labels(kind=Kind.PROMPTS) == ["plain"]


def test_globs_keep_their_order_and_drop_duplicates():
    assert labels("other", "sh*", "shift") == ["other", "shift", "shove"]


def test_a_sweep_is_the_product_of_its_values():
    assert labels("shift[size=1,-1.5,flag=true,false]") == [
        "shift[flag=true,size=1.0]",
        "shift[size=1.0]",
        "shift[flag=true,size=-1.5]",
        "shift[size=-1.5]",
    ]


def test_defaults_are_filled_in_and_not_shown():
    (selected,) = select(REGISTRY, Kind.ALIGNER, ["shift[count=3]"])
    assert selected.label == "shift"
    assert selected.params == {"flag": False, "count": 3, "size": 0.5, "side": "both"}


@pytest.mark.parametrize("text", ['template:"a [nice=1] {}"', "template:a [nice=1] {}"])
def test_the_argument_of_a_family_is_taken_as_it_is(text):
    (selected,) = select(REGISTRY, Kind.PROMPTS, [text])
    assert selected.argument == "a [nice=1] {}"


@given(
    flag=st.booleans(),
    count=st.integers(0, 10),
    size=st.floats(-2, 2, allow_nan=False),
    side=st.sampled_from(["both", "left"]),
)
@settings(deadline=None)
def test_a_label_selects_the_same_again(flag, count, size, side):
    pattern = f"shift[flag={str(flag).lower()},count={count},size={size!r},side={side}]"
    (selected,) = select(REGISTRY, Kind.ALIGNER, [pattern])
    (again,) = select(REGISTRY, Kind.ALIGNER, [selected.label])
    assert again.params == selected.params
    assert again.label == selected.label


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("shft", "Did you mean 'shift'"),
        ("zz*", "No aligner matches"),
        ("shift[sze=1]", "Did you mean 'size'"),
        ("shift[count=1.5]", "must be a whole number"),
        ("shift[count=11]", "must lie in 0..10"),
        ("shift[flag=maybe]", "must be true or false"),
        ("shift[side=right]", "must be one of both, left"),
        ("shift[size=1,size=2]", "given twice"),
        ("shove[size=1]", "has no parameter 'size'"),
        ("shove:1", "takes no argument"),
    ],
)
def test_mistakes_are_named(pattern, message):
    with pytest.raises(UsageError) as caught:
        labels(pattern)
    assert message in str(caught.value)


def test_a_family_without_its_argument_says_what_it_wants():
    with pytest.raises(UsageError, match="template:TEXT"):
        labels("template", kind=Kind.PROMPTS)


FAMILY = Registry(
    [
        Plugin(
            ORIGIN,
            (),
            tuple(
                Component(Kind.ALIGNER, AlignerSpec(name=name, argument="FILE", params=params, **REST), ORIGIN)
                for REST in [
                    {"factory": "toy:A", "summary": "", "family": "", "needs": frozenset(), "acts_on": ActsOn.BOTH}
                ]
                for name, params in (("plain", {}), ("tuned", {"count": Param(default=3, low=0, high=10, doc="")}))
            ),
        )
    ],
    [],
)


def test_a_family_with_parameters_takes_both():
    first, second = select(FAMILY, Kind.ALIGNER, ["tuned:some.file[count=3,5]"])
    assert (first.argument, first.params, first.label) == ("some.file", {"count": 3}, "tuned:some.file")
    assert (second.params, second.label) == ({"count": 5}, "tuned:some.file[count=5]")
    with pytest.raises(UsageError, match="no parameter 'cuont'"):
        select(FAMILY, Kind.ALIGNER, ["tuned:some.file[cuont=5]"])


@given(
    name=st.sampled_from(["plain", "tuned"]),
    argument=st.text(alphabet="ab \"'[]=,:*?{}1", min_size=1, max_size=12),
    count=st.integers(0, 10),
)
@settings(deadline=None)
def test_any_argument_survives_its_label(name, argument, count):
    sweep = f"[count={count}]" if name == "tuned" else ""
    (selected,) = select(FAMILY, Kind.ALIGNER, [f'{name}:"{argument}"{sweep}'])
    assert selected.argument == argument
    (again,) = select(FAMILY, Kind.ALIGNER, [selected.label])
    assert again == selected


def test_a_misspelt_family_is_named_whatever_its_argument_holds():
    with pytest.raises(UsageError, match="Did you mean 'template'"):
        labels('tempalte:"what is a {}?"', kind=Kind.PROMPTS)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_only_finite_numbers_are_values(value):
    with pytest.raises(UsageError, match="finite"):
        labels(f"shift[size={value}]")


def test_a_sweep_of_too_many_combinations_is_refused_before_it_is_written_out():
    values = ",".join(str(number / 100) for number in range(100))
    with pytest.raises(UsageError, match="'shift' is given more than 1,000 combinations"):
        select(toy_registry(), Kind.ALIGNER, [f"shift[size={values},count={','.join('0123456789')},flag=true,false]"])
    assert len(select(toy_registry(), Kind.ALIGNER, [f"shift[size={values},count={','.join('0123456789')}]"])) == 1_000


@pytest.mark.parametrize("value", ["\u0663", "1_0", "9" * 5_000, "0x3", "1e1"])
def test_a_whole_number_is_written_in_ascii_digits(value):
    with pytest.raises(UsageError, match="'count' must"):
        select(toy_registry(), Kind.ALIGNER, [f"shift[count={value}]"])


def test_a_whole_number_without_a_range_fits_into_64_bits():
    spec = AlignerSpec(
        name="wide", factory="toy:A", summary="", family="", needs=frozenset(), acts_on=ActsOn.BOTH,
        params={"count": Param(default=3, doc="")},
    )  # fmt: skip
    registry = Registry([Plugin(ORIGIN, (), (Component(Kind.ALIGNER, spec, ORIGIN),))], [])
    assert select(registry, Kind.ALIGNER, [f"wide[count={2**63 - 1}]"])[0].params == {"count": 2**63 - 1}
    with pytest.raises(UsageError, match=r"between -2\^63 and 2\^63"):
        select(registry, Kind.ALIGNER, [f"wide[count={2**63}]"])
