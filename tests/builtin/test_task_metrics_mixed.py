"""Mixed-modality search against plain loops and scikit-learn, and what published embeddings are known to give."""

import numpy as np
import pytest
from helpers import BY_NAME, fit_spec, scored
from places import CLIP
from sklearn.metrics import ndcg_score

from gapbench.bench import scored as scored_split
from gapbench.bench.protocol import subset
from gapbench.builtin.aligners.controls import Identity
from gapbench.builtin.metrics import mixed_search
from gapbench.builtin.metrics.mixed_search import MixedNdcg, MixedRecall, SameModalityShare, build_corpus
from gapbench.components import EmbeddedSplit, Texts
from gapbench.embeddings.files import EmbeddingFile
from gapbench.errors import NotMeasurable
from gapbench.specs import ActsOn, AlignerSpec
from gapbench.testing.toys import in_file_order

METRICS = (MixedNdcg, MixedRecall, SameModalityShare)


def spec(acts_on=ActsOn.BOTH):
    return AlignerSpec(name="toy", factory="m:A", summary="", family="", needs=frozenset(), acts_on=acts_on)


def aligned(split, aligner=None, acts_on=ActsOn.BOTH):
    return scored(aligner or Identity(), spec(acts_on), split, captioned=True)


def unit(x):
    wide = np.asarray(x[:], dtype=np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def captioned(n=40, d=8, each=3, gap=0.5, seed=0):
    rng = np.random.default_rng(seed)
    core, owner = rng.normal(size=(n, d)), rng.permutation(np.repeat(np.arange(n), each))
    split = EmbeddedSplit(
        images=(core + 0.5 * rng.normal(size=(n, d)) + gap).astype(np.float32),
        fingerprint="c",
        captions=Texts(rows=(core[owner] + 0.7 * rng.normal(size=(n * each, d)) - gap).astype(np.float32), owner=owner),
    )
    return in_file_order(split)


def documents(split):
    """Query and documents of each item, by hand: ``(item, form, row)`` and the queries."""
    x, t, owner = unit(split.images), unit(split.captions.rows), split.captions.owner
    found, queries = [], []
    single = min(np.bincount(owner)[np.unique(owner)]) == 1
    for i in np.unique(owner):
        own = np.flatnonzero(owner == i)
        queries.append(t[own[-1]])
        found.append((i, "image", x[i]))
        found.append((i, "text", t[own[-1 if single else 0]]))
        if not single:
            found.append((i, "both", unit((0.5 * x[i] + 0.5 * t[own[0]])[None])[0]))
    return found, queries, np.unique(owner), single


def by_hand(split):
    """One value a query of each metric, with full loops."""
    corpus, queries, items, single = documents(split)
    values = []
    for i, query in zip(items, queries, strict=True):
        there = [doc for doc in corpus if not (single and doc[0] == i and doc[1] == "text")]
        first = sorted(there, key=lambda doc: -(doc[2] @ query))[:10]
        relevant = sum(doc[0] == i for doc in there)
        gain = sum(1 / np.log2(place + 2) for place, doc in enumerate(first) if doc[0] == i)
        ideal = sum(1 / np.log2(place + 2) for place in range(min(10, relevant)))
        texts = [np.mean([doc[1] == "text" for doc in docs]) for docs in (first, there)]
        values.append((gain / ideal, sum(doc[0] == i for doc in first) / relevant, texts[0] - texts[1]))
    return np.array(values).T


def clip():
    if not CLIP.is_file():
        pytest.skip("mind_the_gap_clip.npz is not beside this checkout (../shared/data)")
    return in_file_order(EmbeddingFile(CLIP).embedded("test"))


@pytest.mark.parametrize("split", [captioned(), captioned(each=1), captioned(n=3, each=2), captioned(n=70, gap=2.0)])
def test_search_equals_plain_loops(split):
    data = aligned(split)
    for metric, expected in zip(METRICS, by_hand(split), strict=True):
        measured = metric().measure(data)
        if measured.outcomes is not None:
            np.testing.assert_allclose(measured.outcomes, expected, atol=1e-12)
        assert measured.value == pytest.approx(expected.mean())


def test_search_of_published_embeddings_equals_plain_loops():
    split = subset(clip(), np.arange(120))
    for metric, expected in zip(METRICS, by_hand(split), strict=True):
        measured = metric().measure(aligned(split))
        if measured.outcomes is not None:
            np.testing.assert_allclose(measured.outcomes, expected, atol=1e-12)
        assert measured.value == pytest.approx(expected.mean())


def test_gain_equals_scikit_learn():
    split = captioned(n=50)
    corpus, queries, items, _ = documents(split)
    scores = np.array(queries) @ np.array([doc[2] for doc in corpus]).T
    relevant = np.array([doc[0] for doc in corpus]) == items[:, None]
    assert MixedNdcg().measure(aligned(split)).value == pytest.approx(ndcg_score(relevant, scores, k=10), rel=1e-9)


def test_the_ideal_counts_relevant_documents_that_were_not_retrieved():
    split = captioned(n=60, gap=0.0)
    far = EmbeddedSplit(images=-split.images, fingerprint="f", captions=split.captions)  # own images come last
    found = MixedNdcg(fused=0.0).measure(aligned(far)).outcomes
    best = 1 / (1 + 1 / np.log2(3))
    assert found.max() == pytest.approx(best)


def test_raw_clip_finds_no_image_beside_texts_and_centring_mends_it():
    split = clip()
    recall = {"identity": [], "mean-center": []}
    for seed in range(3):
        halves = np.array_split(np.random.default_rng(seed).permutation(500), 2)
        for fit, score in (halves, halves[::-1]):
            held, shown = subset(split, np.sort(score)), subset(split, np.sort(fit))
            for name, found in recall.items():
                aligner = fit_spec(BY_NAME[name], shown)
                found.append(MixedRecall().measure(scored(aligner, BY_NAME[name], held, captioned=True)).value)
    assert recall["identity"] == [0.0] * 6
    assert np.mean(recall["mean-center"]) == pytest.approx(0.484, abs=0.02)


def test_without_a_gap_no_modality_is_favoured_and_with_one_texts_fill_the_top():
    rng = np.random.default_rng(0)
    rows, owner = rng.normal(size=(900, 64)).astype(np.float32), np.repeat(np.arange(300), 2)
    split = EmbeddedSplit(images=rows[:300], fingerprint="g", captions=Texts(rows=rows[300:], owner=owner))
    assert SameModalityShare(fused=0.0).measure(aligned(split)).value == pytest.approx(0, abs=0.03)
    apart = EmbeddedSplit(images=rows[:300] + 2, fingerprint="a", captions=Texts(rows=rows[300:] - 2, owner=owner))
    assert SameModalityShare(fused=0.0).measure(aligned(apart)).value == pytest.approx(0.5)
    assert MixedRecall(texts=0.0, fused=0.0).measure(aligned(apart)).n == 300


def test_shares_set_the_ratio_of_the_corpus_with_the_same_documents_for_all_aligners():
    data = aligned(captioned(n=200))
    corpus = build_corpus(data, (0.25, 1.0, 0.5))
    np.testing.assert_array_equal(np.bincount(corpus.form), [50, 200, 100])
    again = build_corpus(aligned(captioned(n=200), Doubled()), (0.25, 1.0, 0.5))
    np.testing.assert_array_equal(corpus.item, again.item)
    np.testing.assert_array_equal(corpus.form, again.form)
    some = MixedRecall(images=0.25, texts=0.0, fused=0.0).measure(data)
    assert some.n == 50  # the others have nothing to find
    assert some.outcomes.dtype == np.bool_
    with pytest.raises(NotMeasurable, match="two documents"):
        MixedRecall(images=0.0, texts=0.0, fused=0.0).measure(data)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        MixedNdcg(images=2.0)


class Doubled(Identity):
    def images(self, x):
        return 2 * x


def test_the_length_of_aligned_rows_plays_no_role():
    one, two = (MixedNdcg().measure(aligned(captioned(), aligner)) for aligner in (Identity(), Doubled()))
    np.testing.assert_array_equal(one.outcomes, two.outcomes)


def test_equal_documents_are_equally_near_wherever_they_stand():
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(7, 16)).astype(np.float32)  # 210 items of 7 kinds: each document 30 times
    of_item = np.arange(210) % 7
    split = EmbeddedSplit(
        images=kinds[of_item],
        fingerprint="d",
        captions=Texts(rows=kinds[np.repeat(of_item, 2)], owner=np.repeat(np.arange(210), 2)),
    )
    data = aligned(in_file_order(split))
    corpus = build_corpus(data, (1.0, 1.0, 1.0))
    alike = {kind: np.flatnonzero(of_item[corpus.item] == kind)[:10] for kind in range(7)}
    expected = [np.mean(corpus.form[alike[of_item[i]]] == mixed_search.TEXT) - 1 / 3 for i in range(210)]
    measured = SameModalityShare().measure(data)
    assert measured.value == pytest.approx(np.mean(expected), abs=1e-12)
    assert measured.value == pytest.approx(0, abs=0.15)  # in the order of their forms it would be -1/3


def test_blocks_do_not_change_what_is_found(monkeypatch):
    whole, texts = (MixedNdcg(images=share).measure(aligned(captioned())).outcomes for share in (1.0, 0.0))
    monkeypatch.setattr(mixed_search, "_BLOCK_SCORES", 500)
    monkeypatch.setattr(scored_split, "CACHE_BYTES", 0)
    np.testing.assert_array_equal(MixedNdcg().measure(aligned(captioned())).outcomes, whole)
    np.testing.assert_array_equal(MixedNdcg(images=0.0).measure(aligned(captioned())).outcomes, texts)


def test_the_ranking_is_made_once_a_cell(monkeypatch):
    calls = []
    search = mixed_search.search
    monkeypatch.setattr(mixed_search, "search", lambda *args: calls.append(1) or search(*args))
    data = aligned(captioned())
    for metric in METRICS:
        metric().measure(data)
    assert len(calls) == 1
    MixedNdcg(fused=0.5).measure(data)
    assert len(calls) == 2


def test_no_more_than_two_thousand_items_are_searched_for():
    rng = np.random.default_rng(0)
    split = EmbeddedSplit(
        images=rng.normal(size=(2100, 4)).astype(np.float32),
        fingerprint="m",
        captions=Texts(rows=rng.normal(size=(4200, 4)).astype(np.float32), owner=np.repeat(np.arange(2100), 2)),
    )
    assert MixedRecall().measure(aligned(split)).n == 2000


class Fusing(Identity):
    """Documents that have both are their text alone."""

    def fused(self, x, t, weight):
        assert weight == 0.5
        return t


def test_an_aligner_may_fuse_its_own_way():
    split = captioned(n=30)
    rows, texts = aligned(split, Fusing()), aligned(split)
    first = np.array([np.flatnonzero(split.captions.owner == i)[0] for i in range(30)])
    corpus = build_corpus(rows, (1.0, 1.0, 1.0))
    fused = corpus.form == mixed_search.FUSED
    np.testing.assert_allclose(corpus.rows[fused], unit(split.captions.rows)[first[corpus.item[fused]]], atol=1e-6)
    assert MixedNdcg().measure(rows).value != MixedNdcg().measure(texts).value


class Biased:
    def text_bias(self, t):
        return np.zeros(len(t), np.float32)

    image_bias = text_bias


@pytest.mark.parametrize("metric", METRICS)
def test_an_aligner_of_scores_has_nothing_to_mix(metric):
    with pytest.raises(NotMeasurable, match="scores"):
        metric().measure(aligned(captioned(), Biased(), ActsOn.SCORES))


def test_one_image_is_no_corpus():
    with pytest.raises(NotMeasurable, match="two images"):
        MixedRecall().measure(aligned(captioned(n=1)))
