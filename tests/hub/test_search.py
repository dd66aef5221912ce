"""Search: exact names first, then the tools that share most with the query, the same answer every time."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.search import LONGEST, Entry, Index, Lexicon, Meaning, stem, words

WORDS = ["job", "template", "launch", "list", "inventory", "host", "cancel", "user", "the", "get"]

names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map("_".join)
entries = st.builds(
    Entry,
    name=names,
    title=st.none() | st.text(max_size=20),
    plugin=st.sampled_from(["awx", "postgres", ""]),
    group=st.none() | st.sampled_from(["jobs", "hosts"]),
    description=st.none() | st.text(max_size=40) | st.lists(st.sampled_from(WORDS)).map(" ".join),
    parameters=st.lists(st.tuples(names, st.text(max_size=20)), max_size=3),
)
catalogues = st.lists(entries, min_size=1, max_size=12, unique_by=lambda entry: entry.name)

LAUNCH = Entry("awx_launch_job", plugin="awx", group="jobs", description="Start a job template.")
CANCEL = Entry("awx_cancel_job", plugin="awx", group="jobs", description="Stop a running job.")
HOSTS = Entry("awx_hosts", plugin="awx", group="hosts", description="List the hosts of an inventory.")
QUERY = Entry("postgres_query", plugin="postgres", description="Run SQL.", parameters=[("sql", "the statement")])
CATALOGUE = [LAUNCH, CANCEL, HOSTS, QUERY]


def found(query: str, *tools: Entry, k: int = 5, plugin: str | None = None, group: str | None = None) -> list[str]:
    return [hit.entry.name for hit in Index(tools or CATALOGUE).search(query, k, plugin=plugin, group=group)]


def test_the_tool_that_shares_most_with_the_query_comes_first():
    assert found("start the nightly job")[0] == "awx_launch_job"
    assert found("which hosts are in my inventory?") == ["awx_hosts"]


def test_a_hit_says_which_entry_it_is_and_where_it_stands():
    hit = Index(CATALOGUE).search("run sql")[0]

    assert (hit.position, hit.entry) == (3, QUERY)
    assert hit.score > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("list_job_templates", ["list", "job", "templat"]),
        ("launch-job.template", ["launch", "job", "templat"]),
        ("listJobs", ["list", "job", "listjob"]),
        ("HTTPServer", ["http", "serv", "httpserv"]),
        ("GitHub", ["git", "hub", "github"]),
        ("ec2 v1beta", ["ec", "2", "v", "1", "beta"]),
        ("SHOUTING", ["shout"]),
        ("naïve NAÏVE 3999", ["naiv", "naiv", "3999"]),
        ("Straße, 東京", ["straße", "東京"]),
        ("", []),
        ("🎉 ... __", []),
    ],
)
def test_a_text_is_split_into_words(text: str, expected: list[str]):
    assert words(text) == expected


@pytest.mark.parametrize(
    "forms",
    [
        "create creates created creating creation creator",
        "calculate calculates calculating calculation calculator",
        "stop stops stopped stopping",
        "query queries queried",
        "match matches matching",
        "box boxes",
        "class classes",
        "job jobs",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str):
    assert len({stem(form) for form in forms.split()}) == 1


@pytest.mark.parametrize(("one", "other"), [("news", "new"), ("status", "state"), ("ring", "r"), ("thing", "th")])
def test_different_words_keep_different_stems(one: str, other: str):
    assert stem(one) != stem(other)


def test_stop_words_are_not_looked_for():
    assert words("what is the best way for me to do it") == ["best", "way"]
    assert found("the of and to") == []


@given(catalogues, st.data())
def test_an_exact_name_is_always_first(catalogue: list[Entry], data: st.DataObject):
    wanted = data.draw(st.sampled_from(catalogue))
    index = Index(catalogue)

    for query in (wanted.name, wanted.name.upper(), wanted.name.replace("_", " "), wanted.name.replace("_", "-")):
        assert index.search(query, 1)[0].entry == wanted


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=8, unique_by=str.strip), st.data())
def test_a_wild_name_is_found_by_itself(wild: list[str], data: st.DataObject):
    wanted = data.draw(st.sampled_from([name for name in wild if name.strip()] or ["x"]))
    index = Index([Entry(name) for name in [*wild, "x"]])

    assert index.search(wanted, 1)[0].entry.name.strip() == wanted.strip()


def test_an_exact_name_beats_tools_that_have_the_same_words_more_often():
    plain = Entry("x_get_job")
    loud = [Entry(f"x_get_job_{n}", "x get job", "x", "x", "x get job " * 20) for n in range(20)]

    assert found("x get job", *loud, plain)[0] == "x_get_job"


def test_of_names_that_differ_in_case_only_the_one_as_written_comes_first():
    assert found("getJob", Entry("getjob"), Entry("get_job"), Entry("getJob")) == ["getJob", "getjob", "get_job"]
    assert found("get_job", Entry("getjob"), Entry("get_job"), Entry("getJob"))[0] == "get_job"


def test_a_name_written_out_in_a_question_comes_first():
    crowd = [Entry(f"cancel_{n}", description="cancel a running job after a failure") for n in range(9)]

    assert found("Use `awx_hosts` to cancel the running job after a failure.", *crowd, HOSTS)[0] == "awx_hosts"
    assert found("call awx-hosts, then cancel the running job", *crowd, HOSTS)[0] == "awx_hosts"


def test_a_name_of_one_word_does_not_take_over_every_question_with_that_word():
    search = Entry("search", description="Look things up.")
    flights = Entry("book_flights", description="Find and search flights to a city.")

    assert found("search flights to a city", search, flights)[0] == "book_flights"
    assert found("Search", flights, search)[0] == "search"


def test_equal_tools_stand_in_the_order_of_the_catalogue():
    twins = [Entry(f"tool{letter}", description="send mail") for letter in "dbca"]

    assert found("send mail", *twins) == ["toold", "toolb", "toolc", "toola"]


@given(catalogues, st.text(max_size=20) | names, st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_the_catalogue(catalogue: list[Entry], query: str, chance: random.Random):
    shuffled = chance.sample(catalogue, len(catalogue))

    answers = [Index(tools).search(query, len(tools)) for tools in (catalogue, shuffled)]

    first, second = ({hit.entry.name: hit.score for hit in answer} for answer in answers)
    assert first == second


@given(catalogues, st.text(max_size=50) | names, st.integers(-1, 15))
def test_an_answer_is_bounded_ordered_and_the_same_every_time(catalogue: list[Entry], query: str, k: int):
    index = Index(catalogue)

    hits = index.search(query, k)

    assert hits == Index(catalogue).search(query, k)
    assert len(hits) <= max(k, 0)
    assert len({hit.position for hit in hits}) == len(hits)
    assert all(catalogue[hit.position] == hit.entry for hit in hits)
    assert hits == index.search(query, 100)[: max(k, 0)]


def test_scores_fall_from_hit_to_hit():
    hits = Index(CATALOGUE).search("list, start or stop a job on hosts")

    assert len(hits) > 2
    assert all(one.score >= next_one.score for one, next_one in pairwise(hits))


def test_a_plugin_or_a_group_leaves_out_all_other_tools():
    assert found("run a job", plugin="postgres") == ["postgres_query"]
    assert found("list jobs and hosts", group="hosts") == ["awx_hosts"]
    assert found("awx_launch_job", plugin="postgres") == []
    assert found("job", plugin="nobody") == []
    assert found("job", plugin="awx", group="nothing") == []


def test_the_name_of_a_plugin_or_group_finds_its_tools():
    tools = [Entry("a", plugin="mail", group="drafts"), Entry("b", plugin="mail"), Entry("c", plugin="disk")]

    assert found("mail", *tools) == ["a", "b"]
    assert found("drafts", *tools) == ["a"]


def test_a_tool_is_lifted_by_its_plugin():
    lone = Entry("lone", plugin="disk", description="send a file")
    among = Entry("amid", plugin="mail", description="send a file")
    others = [Entry(f"mail{letter}", plugin="mail", description="send mail to somebody") for letter in "abc"]

    assert found("send", lone, among, *others).index("amid") < found("send", lone, among, *others).index("lone")


def test_titles_and_parameters_are_searched_too():
    by_title = Entry("one", title="Weather forecast")
    by_parameter = Entry("two", parameters=[("zip_code", "postal area in Finland")])

    assert found("forecasts", by_title, by_parameter) == ["one"]
    assert found("zip", by_title, by_parameter) == ["two"]
    assert found("finland", by_title, by_parameter) == ["two"]


def test_a_long_text_does_not_win_by_its_length():
    short = Entry("short", description="restart a service")
    long = Entry("long", description="restart a service " + "or do many other things with a machine " * 20)

    assert found("restart service", long, short) == ["short", "long"]


@pytest.mark.parametrize(
    "query",
    ["", " ", "\x00", "🎉", "\ud800", "(((", "\\", "ﷺ" * 1000, "a" * 1_000_000, "job " * 250_000, "_" * 5_000],
    ids=lambda query: repr(query[:5]),
)
def test_any_query_has_an_answer(query: str):
    assert len(Index(CATALOGUE).search(query)) <= 5


def test_what_stands_behind_the_limit_is_not_read():
    assert found("x " * LONGEST + "job") == []


def test_an_empty_catalogue_has_no_hits():
    assert Index([]).search("anything") == []


def test_four_thousand_tools_are_searched():
    tools = [
        Entry(f"plugin{n % 40}_tool_{n}", plugin=f"plugin{n % 40}", description=f"Do thing {n}") for n in range(4_000)
    ]

    assert Index(tools).search("plugin7_tool_1247", 1)[0].position == 1_247
    assert Index(tools).search("do thing 3999", 1)[0].position == 3_999


@dataclass(frozen=True, slots=True)
class Fake:
    """A lexicon of one catalogue: which words are near to which, and how near each tool is to a text."""

    near: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    tools: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])

    def meaning(self, tools: Sequence[Sequence[str]], vocabulary: Collection[str]) -> Meaning:
        assert len(tools) == len(CATALOGUE)
        assert "inventori" in vocabulary
        return self

    def related(self, query: Sequence[str]) -> Mapping[str, float]:
        return {word: near for asked in query for word, near in self.near.get(asked, {}).items()}

    def nearness(self, texts: Sequence[Sequence[str]]) -> Sequence[float]:
        nothing = [0.0] * len(CATALOGUE)
        return [max(near) for near in zip(*(self.tools.get(" ".join(text), nothing) for text in texts), strict=True)]


def test_with_a_lexicon_a_related_word_finds_a_tool():
    index = Index(CATALOGUE, Fake(near={"halt": {"stop": 0.9}}))

    assert [hit.entry.name for hit in index.search("halt")] == ["awx_cancel_job"]
    assert index.search("halt or start")[0].entry == LAUNCH


def test_with_a_lexicon_a_tool_near_in_meaning_is_found():
    index = Index(CATALOGUE, Fake(tools={"halt": [0.0, 0.9, 0.1, -0.5]}))

    assert [hit.entry.name for hit in index.search("halt")] == ["awx_cancel_job", "awx_hosts"]
    assert [hit.entry.name for hit in index.search("sql")] == ["postgres_query"]


def test_with_a_lexicon_each_sentence_of_a_query_counts_for_itself():
    index = Index(CATALOGUE, Fake(tools={"halt": [0.0, 0.9, 0.0, 0.0], "ask": [0.0, 0.0, 0.0, 0.8]}))

    assert [hit.entry.name for hit in index.search("Halt! Ask me.")] == ["awx_cancel_job", "postgres_query"]


def test_an_exact_name_is_first_whatever_its_meaning():
    index = Index(CATALOGUE, Fake(tools={"awx host": [1.0, 1.0, -1.0, 1.0]}))

    assert index.search("awx_hosts")[0].entry == HOSTS


@cache
def shipped() -> Lexicon:
    return pytest.importorskip("pegboard.semantic", reason="needs pegboard[semantic]").WordVectors()


def test_the_shipped_lexicon_knows_words_of_like_meaning():
    tools = [
        Entry("mail_send", description="Deliver an email to a recipient."),
        Entry("air_book", description="Reserve a seat on a flight."),
        Entry("sky_forecast", description="Predict rain and temperature in a city."),
    ]
    index = Index(tools, shipped())

    assert index.search("purchase plane tickets", 1)[0].entry.name == "air_book"
    assert index.search("will it be sunny, what is the weather like", 1)[0].entry.name == "sky_forecast"
    assert index.search("write a letter to my aunt", 1)[0].entry.name == "mail_send"
    assert Index(tools).search("purchase plane tickets") == []


def test_the_shipped_lexicon_takes_any_query_and_any_catalogue():
    lexicon = shipped()

    assert Index([], lexicon).search("anything") == []
    assert Index([Entry("🎉"), Entry("zzyzx")], lexicon).search("qqqq 🎉. 東京! ") == []
    assert Index(CATALOGUE, lexicon).search("") == []
    assert len(Index(CATALOGUE, lexicon).search("start a job. " * 1_000)) <= 5


@given(catalogues, st.data())
def test_an_exact_name_is_always_first_with_the_shipped_lexicon(catalogue: list[Entry], data: st.DataObject):
    wanted = data.draw(st.sampled_from(catalogue))

    assert Index(catalogue, shipped()).search(wanted.name, 1)[0].entry == wanted
