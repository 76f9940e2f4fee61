"""Which classes of a network the classes of data are."""

import pytest

from model_lego.data import imagenet
from model_lego.data.class_matching import match_classes
from model_lego.errors import BadConfig, LegoError, UnknownClass

PETS = ("tabby cat", "Golden_Retriever", "hen, biddy", "sea-lion", "tench, Tinca tinca", "goldfish")


def places(words, names=PETS, **options):
    return match_classes(words, names, **options).places


def refusal(words, names=PETS, error=UnknownClass, **options):
    with pytest.raises(error) as caught:
        match_classes(words, names, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("tabby cat", 0),
        ("Tabby_Cat", 0),
        ("golden retriever", 1),
        ("sealion", 3),
        ("biddy", 2),
        ("tinca-tinca", 4),
        ("tench_Tinca_tinca", 4),
        ("5", 5),
    ],
)
def test_a_class_is_found_however_it_is_written(word, place):
    assert places([word]) == (place,)


def test_accents_count_as_one_letter_however_a_file_system_writes_them():
    assert places(["cafe\u0301"], ["bar", "caf\u00e9"]) == (1,)


def test_a_whole_name_goes_before_what_it_would_mean_otherwise():
    assert places(["cat", "CAT", "1"], ["CAT", "cat", "1"]) == (1, 0, 2)
    assert places(["b, c", "b"], ["b", "b, c"]) == (1, 0)


def test_numbers_that_are_names_of_other_classes_are_no_indices():
    digits = ("5", "6", "7")
    assert places(["0", "5", "6", "7"], digits) == (-1, 0, 1, 2)
    assert "'0' is no class" in refusal(["0", "6"], digits)


def test_data_with_more_classes_than_the_network_has_them_left_out_or_behind():
    names = ("cat", "dog")
    assert places(["ant", "dog", "cat"], names) == (-1, 1, 0)
    behind = match_classes(["ant", "dog", "elk"], names, more=True)
    assert (behind.names, behind.places) == (("cat", "dog", "ant", "elk"), (2, 1, 3))


def test_all_that_is_wrong_is_said_at_once_with_the_nearest_names():
    words = refusal(["goldfihs", "tench", "Tinca tinca", "zebra"])
    assert "'goldfihs' is no class of the network (near: goldfish)" in words
    assert "'zebra' is no class of the network" in words
    assert "'Tinca tinca' and 'tench' are one class, tench, Tinca tinca" in words


def test_data_of_which_no_class_is_wanted_is_refused():
    assert "has none of the classes hen, biddy; it has goldfish" in refusal(
        ["goldfish"], ["hen, biddy"], sources=[PETS]
    )


def test_numbers_count_among_the_classes_of_the_source():
    assert places(["3", "5"], ["goldfish", "sea-lion"], sources=[PETS]) == (1, 0)


def test_a_class_map_goes_before_everything():
    given = {"tench": 5, "mine": "hen", "yours": "biddy", "rest": None}
    found = match_classes(["mine", "tench", "yours", "rest"], PETS, class_map=given)
    assert found.places == (2, 5, 2, -1)
    told, out = found.notes
    assert told.startswith("the data has 2 of the 6 classes: 'mine' is hen, biddy (2), 'tench' is goldfish (5)")
    assert out == "left out, as the class map says: rest"


def test_all_wrong_entries_of_a_class_map_are_said_by_file_and_line(tmp_path):
    file = tmp_path / "map.csv"
    file.write_text("folder,class\na,tenhc\nb,goldfish\n\nc,77\nbb,hen\n")
    words = refusal(["a", "b", "c"], class_map=file)
    assert f"'{file}', line 2: 'tenhc' is no class of the network (near: tench, Tinca tinca), for 'a'" in words
    assert f"'{file}', line 5: '77' is no class of the network, for 'c'" in words
    assert "; the class map has what the data does not have: bb. Say in" in words


def test_what_a_class_map_has_beside_the_data_is_said():
    found = match_classes(["hen"], PETS, class_map={"cock": "hen", "hen": "hen"})
    assert found.notes[-1] == "the class map has what the data does not have: cock"


IMAGENET = imagenet.imagenet_names()


@pytest.mark.parametrize(
    ("word", "number"),
    [("n01440764", 0), ("tench", 0), ("Tinca tinca", 0), ("English_springer", 217), ("482", 482), ("n02012849", 134)],
)
def test_classes_of_imagenet_have_their_wordnet_numbers_and_synonyms(word, number):
    pytest.importorskip("timm")
    assert places([word], IMAGENET) == (number,)
    assert places([word], imagenet.wordnet_numbers()) == (number,)


@pytest.mark.parametrize(
    ("word", "number", "other", "both"),
    [
        ("crane", 517, "crane bird", "crane (517, n03126707) or crane bird (134, n02012849)"),
        ("maillot", 638, "n03710721", "maillot (638, n03710637) or maillot tank suit (639, n03710721)"),
    ],
)
def test_a_word_for_two_classes_of_imagenet_is_refused_unless_something_tells(word, number, other, both):
    pytest.importorskip("timm")
    assert f"'{word}' may be {both}" in refusal([word, "tench"], IMAGENET)
    assert places([word, other], IMAGENET)[0] == number
    assert places([word], IMAGENET, class_map={word: number}) == (number,)


def test_a_part_of_imagenet_knows_which_of_two_cranes_it_has():
    pytest.importorskip("timm")
    part = ("crane", "tench")
    assert places(["n03126707", "n01440764"], part, sources=[IMAGENET]) == (0, 1)
    assert places(["n02012849", "n03126707", "tench"], part, sources=[IMAGENET]) == (-1, 0, 1)


def test_names_that_no_source_has_are_found_by_name_alone():
    pets = ("pug", "cat", "hen")
    assert places(["Dogs", "1", "cat_"], ["dogs", "hen"], sources=[pets]) == (0, -1, -1)
    assert places(["1", "2"], ["1", "2"], sources=[pets]) == (0, 1)
    assert "'7' is no class" in refusal(["7", "2"], ["dogs", "hen"], sources=[pets])


def test_names_that_are_told_apart_by_a_mark_are_still_imagenets():
    pytest.importorskip("timm")
    marked = [f"{name} ({number})" for number, name in enumerate(IMAGENET)]
    assert places(["n02012849", "n03126707", "tench"], marked) == (134, 517, 0)
    assert places(["bat (n02139199)", "bat (n02799175)"], ["bat (n02799175)", "bat (n02139199)"]) == (1, 0)
    assert "'bat' may be bat (1) (0) or bat (2) (1)" in refusal(["bat"], ["bat (1)", "bat (2)", "cat"])


def test_the_same_class_of_two_sources_is_one(tmp_path):
    pytest.importorskip("timm")
    assert places(["n01440764", "ant"], ["tench", "ant"], sources=[IMAGENET, ("ant", "bee")]) == (0, 1)


def test_wordnet_numbers_want_timm(monkeypatch):
    monkeypatch.setattr("model_lego.data.class_matching.wordnet_numbers", tuple)
    monkeypatch.setattr("model_lego.data.class_matching.imagenet_of", lambda word: frozenset())
    assert "pip install model-lego[timm]" in refusal(["n01440764", "goldfish"], IMAGENET)


def map_of(file, text):
    from model_lego.data.class_maps import read_class_map

    file.write_text(text, encoding="utf-8")
    return {entry.folder: entry.word for entry in read_class_map(file)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.csv", '\ufefffolder, class\n"a, b", 07\nno, n01440764\nc,\n'),
        ("map.csv", "folder;class\na, b;07\nno;n01440764\nc;\n"),
        ("map.csv", '"a, b"\t07\nno\tn01440764\nc\t\n'),
        ("map.tsv", "a, b\t07\nno\tn01440764\nc\t\n"),
        ("map.json", '{\n\t"a, b": "07",\n\t"no": "n01440764", "c": null}'),
        ("map.yaml", "a, b: 07\nno: n01440764\nc:\n"),
        ("map.YML", "{'a, b': 07, no: n01440764, c: ~}"),
    ],
)
def test_class_maps_are_read_as_they_are_written(tmp_path, name, text):
    assert map_of(tmp_path / name, text) == {"a, b": "07", "no": "n01440764", "c": None}


def test_a_json_file_may_have_all_its_letters_escaped(tmp_path):
    assert map_of(tmp_path / "map.json", '{"\\ud83d\\udc1f": 0, "caf\\u00e9": 1}') == {"\U0001f41f": "0", "café": "1"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("map.txt", "a: 1", "write folder and class into a .csv, .json or .yaml file"),
        ("map.csv", "", "is empty"),
        ("map.csv", "a,1\nb,2,3\na,4\nc", ["line 2: 3 columns", "line 4: 1 columns", "line 3: 'a' is there already"]),
        ("map.csv", 'a,"1\n', "cannot be read"),
        ("map.csv", "a|1\nb|2\n", ["line 1: 1 columns in place of folder,class (or folder;class", "line 2: 1 columns"]),
        ("map.json", '{"a": 1,\n "b" 2}', "line 2"),
        ("map.json", '{"a": 1,\n "a": 2}', "line 2: 'a' is there already"),
        ("map.json", '{"0": ["n01440764", "tench"]}', "line 1: no folder with one class, its name or number"),
        ("map.json", "[1]", "line 1: no mapping from folders to classes"),
        ("map.yaml", "a: 1\nb: [", "line 2"),
        ("map.yaml", "a: 1\nb: {c: 2}", "line 2: no folder with one class"),
    ],
)
def test_files_that_are_no_class_maps(tmp_path, name, text, words):
    with pytest.raises(BadConfig) as caught:
        map_of(tmp_path / name, text)
    for each in [words] if isinstance(words, str) else words:
        assert each in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("given", [{"a": 1.5}, {1: "a"}, {"a": True}, {}, ["a"], "nowhere.csv"])
def test_what_is_no_class_map_is_refused(given):
    with pytest.raises(LegoError):
        match_classes(["a"], ["a", "b"], class_map=given)
