r"""Bound the steps that a backtracking engine takes for a pattern, before it runs on any text.

At worst, a backtracking engine tries every way in which the pattern can read the text or a beginning of it. These ways
are counted on the pattern's automaton: its states are the places where the pattern takes a character (`Chars`), and an
edge has the number of ways from one place to the next. Three questions are asked:

1. **Exponential?** If a loop can read some text in two ways, as in `(a+)+` or `(a|aa)+`, it can read n repetitions of
   that text in 2^n ways, and the pattern is refused. So this looks for two different paths that read the same text, and
   that both lead from one place back to it. `([a-z]+\.)+com` has none: only a dot leads back.
2. **How many at once?** This visits every set of places that the beginning of some text can lead to, with the ways to
   each place. If these sets are few, their largest sum of ways, w, bounds the steps: w n for a text of n characters.
3. Otherwise, as in `.*@.*`, each loop that follows another one multiplies the ways: w n^k / k! for k loops.

A search that may start anywhere counts as one more loop. A bounded repeat with many copies counts as an unbounded one,
which has more ways. Lookarounds run their own pattern at each step, so their bounds are multiplied in.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import factorial

import attrs

from asyncsdk._rules.patterns.errors import UnsupportedPatternError
from asyncsdk._rules.patterns.spelling import Alphabet
from asyncsdk._rules.patterns.syntax import (
    Assertion,
    Backreference,
    Chars,
    Choice,
    Group,
    Look,
    Node,
    Repeat,
    Sequenced,
    walk,
)

# Limits of one search: its steps, and the length of a text.
MAX_STEPS = 2_000_000
MAX_CHARACTERS = 100_000
# Limits of this analysis: beyond them, a pattern is refused or its steps are overestimated.
_MAX_PLACES = 400
_MAX_COPIES = 150
_MAX_LINKS = 20_000
_MAX_WAYS = 10**9
_MAX_VISITS = 20_000
_MAX_SETS = 400

_Edges = Counter[int]
"""Ways by place."""


@attrs.define(eq=False, repr=False)
class _Fragment:
    """A part of a pattern.

    Attributes:
        first: Each place that may take the part's first character, with the ways to it.
        last: Each place that may take its last character, with the ways from it.
        empty: Number of ways to match the empty text.
    """

    first: _Edges
    last: _Edges
    empty: int


@attrs.define(eq=False, repr=False, slots=False)
class _Automaton:
    """The places of a pattern, and the ways between them.

    Attributes:
        alphabet: Evaluates classes.
        members: The characters that each place takes; after `number_letters`, the letters.
        edges: Ways from each place to the next.
        bounds: The ways and loops (w and k) of each lookaround and backreference.
        letters: Number of letters; a letter is a set of characters that no place tells apart.
        links: Number of edges that were added, also those between the same places.
    """

    alphabet: Alphabet
    members: list[int] = attrs.Factory(list)
    edges: list[_Edges] = attrs.Factory(list)
    bounds: list[tuple[int, int]] = attrs.Factory(list)
    letters: int = 0
    links: int = 0

    def read(self, node: Node) -> _Fragment:
        """Add a part of the pattern."""
        reader = _READERS.get(node.__class__)
        return _Fragment(Counter(), Counter(), 1) if reader is None else reader(self, node)

    def read_chars(self, node: Chars) -> _Fragment:
        if len(self.members) >= _MAX_PLACES:
            raise UnsupportedPatternError("it is too long to be proved safe")
        self.members.append(self.alphabet.members(node))
        self.edges.append(Counter())
        place = len(self.members) - 1
        return _Fragment(Counter({place: 1}), Counter({place: 1}), 0)

    def join(self, left: _Fragment, right: _Fragment) -> _Fragment:
        self.link(left.last, right.first)
        first = left.first + _times(right.first, left.empty)
        last = right.last + _times(left.last, right.empty)
        return _Fragment(first, last, _capped(left.empty * right.empty))

    def link(self, last: _Edges, first: _Edges) -> None:
        self.links += len(last) * len(first)
        if self.links > _MAX_LINKS:
            raise UnsupportedPatternError("it is too long to be proved safe")
        for place, ways in last.items():
            edges = self.edges[place]
            for following, more in first.items():
                edges[following] = _capped(edges[following] + ways * more)

    def read_sequence(self, node: Sequenced) -> _Fragment:
        whole = _Fragment(Counter(), Counter(), 1)
        for child in node.children:
            whole = self.join(whole, self.read(child))
        return whole

    def read_choice(self, node: Choice) -> _Fragment:
        parts = [self.read(child) for child in node.children]
        first, last = sum((part.first for part in parts), Counter()), sum((part.last for part in parts), Counter())
        return _Fragment(first, last, _capped(sum(part.empty for part in parts)))

    def read_group(self, node: Group) -> _Fragment:
        return self.read(node.child)

    def read_look(self, node: Look) -> _Fragment:
        self.bounds.append(bound(node.child, self.alphabet, anchored=True))
        return _Fragment(Counter(), Counter(), 1)

    def read_backreference(self, _: Backreference) -> _Fragment:
        # One more loop, because it may compare as much as the whole text.
        self.bounds.append((1, 1))
        return _Fragment(Counter(), Counter(), 1)

    def read_repeat(self, node: Repeat) -> _Fragment:
        size = sum(isinstance(one, Chars) for one in walk(node.child))
        high = node.high
        if high is None or high * size > _MAX_COPIES:
            return self.read_loop(node, 0 if node.low * size > _MAX_COPIES else node.low)
        # From the end to the start: `a{2,4}` is read as `aa(?:a(?:a)?)?`.
        whole = _Fragment(Counter(), Counter(), 1)
        for _ in range(high - node.low):
            whole = self.join(self.read(node.child), whole)
            whole.empty = _capped(whole.empty + 1)
        for _ in range(node.low):
            whole = self.join(self.read(node.child), whole)
        return whole

    def read_loop(self, node: Repeat, low: int) -> _Fragment:
        if any(isinstance(one, Backreference) for one in walk(node)):
            raise UnsupportedPatternError("it repeats a reference")
        # `a{3,}` is read as `aa(?:a)+`.
        whole = _Fragment(Counter(), Counter(), 1)
        for _ in range(low - 1):
            whole = self.join(whole, self.read(node.child))
        loop = self.read(node.child)
        self.link(loop.last, loop.first)
        loop.empty += low == 0
        return self.join(whole, loop)

    def number_letters(self) -> None:
        """Replace the characters that each place takes by letters, of which there are far fewer."""
        distinct = [*dict.fromkeys(self.members)]
        letters = _letters(distinct)
        small = {one: sum((one & letter != 0) << number for number, letter in enumerate(letters)) for one in distinct}
        self.members = [small[one] for one in self.members]
        self.letters = len(letters)

    # --- questions ----------------------------------------------------------------------------------------

    @cached_property
    def components(self) -> list[int]:
        """The number of each place's strongly connected component, successors first (Tarjan)."""
        return _components([list(edges) for edges in self.edges])

    def is_loop(self, place: int) -> bool:
        """Return whether a place can be reached from itself."""
        return place in self.edges[place] or self.components.count(self.components[place]) > 1

    def is_exponential(self) -> bool:
        """Return whether some text leads from a place back to itself in two ways."""
        inside = [
            [(following, ways) for following, ways in edges.items() if self._is_together(place, following)]
            for place, edges in enumerate(self.edges)
        ]
        if any(ways > 1 for edges in inside for _, ways in edges):
            return True
        # Two paths that read the same text are followed together, as pairs of places. If two different places lead to
        # one, that text can be read in two ways; and as all are in one component, the place leads back to the start.
        pending = [(place, place) for place, edges in enumerate(inside) if edges]
        known, visits = set(pending), 0
        while pending:
            left, right = pending.pop()
            for one, _ in inside[left]:
                for other, _ in inside[right]:
                    visits += 1
                    if visits > _MAX_VISITS:
                        return True  # undecided: assume the worst
                    pair = (min(one, other), max(one, other))
                    if one == other and left != right:
                        return True
                    if pair not in known and self.members[one] & self.members[other]:
                        known.add(pair)
                        pending.append(pair)
        return False

    def _is_together(self, place: int, following: int) -> bool:
        return self.components[place] == self.components[following]

    def most_ways(self, first: _Edges) -> int | None:
        """Return the most ways in which a text can be begun; None if there are too many sets of places to visit."""
        letters = [1 << number for number in range(self.letters)]
        # Each item of `pending` has the places that some text leads to, with their ways. The first one has the places
        # where the first character may be taken.
        starts = tuple(sorted(first.items()))
        known: set[object] = set()
        pending, most, visits, is_start = [starts], 1, 0, True
        while pending:
            ways = pending.pop()
            step: _Edges = Counter()
            if is_start:
                step.update(dict(ways))
            else:
                for place, count in ways:
                    for following, more in self.edges[place].items():
                        step[following] += count * more
            is_start = False
            for letter in letters:
                visits += len(step) + 1
                reached = tuple(sorted((place, n) for place, n in step.items() if self.members[place] & letter))
                if reached and reached not in known:
                    most = max(most, sum(count for _, count in reached))
                    if len(known) >= _MAX_SETS or visits > _MAX_VISITS or most > _MAX_STEPS_AT_ONCE:
                        return None
                    known.add(reached)
                    pending.append(reached)
        return most

    def degrees(self, first: _Edges) -> tuple[int, int]:
        """Return w and k of the third question."""
        # For each place, the ways to it and the number of loops on the way, minus 1.
        ways: dict[int, tuple[int, int]] = {}
        # Successors have lower component numbers, so this order visits each place after those that lead to it.
        order = sorted(range(len(self.members)), key=lambda place: -self.components[place])
        incoming: list[list[tuple[int, int, int]]] = [[] for _ in self.members]
        for place, edges in enumerate(self.edges):
            for following, more in edges.items():
                if not self._is_together(place, following):
                    incoming[following].append((place, more, 0))
        entries: dict[int, tuple[int, int]] = {}
        for place in order:
            total, degree = first.get(place, 0), -1
            for before, more, _ in incoming[place]:
                total += ways[before][0] * more
                degree = max(degree, ways[before][1])
            if not self.is_loop(place):
                ways[place] = (_capped(total), degree)
                continue
            # All places of a loop share the ways into any of them; they are next to each other in `order`.
            component = self.components[place]
            if component not in entries:
                entries[component] = self._entry(component, first, incoming, ways)
            ways[place] = entries[component]
        total = sum(count for count, _ in ways.values())
        return max(1, _capped(total)), max((degree for _, degree in ways.values()), default=-1) + 1

    def _entry(
        self,
        component: int,
        first: _Edges,
        incoming: Sequence[Sequence[tuple[int, int, int]]],
        ways: Mapping[int, tuple[int, int]],
    ) -> tuple[int, int]:
        total, degree = 0, -1
        for place, number in enumerate(self.components):
            if number == component:
                total += first.get(place, 0)
                for before, more, _ in incoming[place]:
                    total += ways[before][0] * more
                    degree = max(degree, ways[before][1])
        return _capped(total), degree + 1


_MAX_STEPS_AT_ONCE = 5_000
_READERS: dict[type[Node], Callable[..., _Fragment]] = {
    Chars: _Automaton.read_chars,
    Sequenced: _Automaton.read_sequence,
    Choice: _Automaton.read_choice,
    Group: _Automaton.read_group,
    Look: _Automaton.read_look,
    Backreference: _Automaton.read_backreference,
    Repeat: _Automaton.read_repeat,
}


def bound(node: Node, alphabet: Alphabet, *, anchored: bool) -> tuple[int, int]:
    """Return w and k, such that a text of n characters takes at most w n^k / k! steps.

    Raises:
        UnsupportedPatternError: The steps may grow exponentially, or cannot be bounded.
    """
    automaton = _Automaton(alphabet)
    whole = automaton.read(node)
    automaton.number_letters()
    if automaton.is_exponential():
        raise UnsupportedPatternError("its steps may grow exponentially")
    ways, loops = automaton.degrees(whole.first)
    if not any(isinstance(one, Backreference) for one in walk(node)):
        most = automaton.most_ways(whole.first)
        if most is not None:
            loops = min(loops, 1)
            ways = most if loops else most * (len(automaton.members) + 1)
    for more_ways, more_loops in automaton.bounds:
        ways, loops = _capped(ways * more_ways), loops + more_loops
    return _capped(ways * max(1, whole.empty)), loops + (not anchored)


def longest(ways: int, loops: int) -> int:
    """Return the largest length n with w n^k / k! <= `MAX_STEPS`, at most `MAX_CHARACTERS`; -1 if there is none."""
    steps = MAX_STEPS // ways
    if steps == 0:
        return -1
    return MAX_CHARACTERS if loops == 0 else min(MAX_CHARACTERS, int((steps * factorial(loops)) ** (1 / loops)))


def is_anchored(node: Node) -> bool:
    """Return whether a pattern can match only at the beginning of a text."""
    if isinstance(node, Sequenced):
        return is_anchored(node.children[0])
    if isinstance(node, Choice):
        return all(map(is_anchored, node.children))
    if isinstance(node, Group):
        return is_anchored(node.child)
    return isinstance(node, Assertion) and node.kind == "start"


def _capped(ways: int) -> int:
    return min(ways, _MAX_WAYS)


def _times(edges: _Edges, ways: int) -> _Edges:
    return Counter({place: _capped(count * ways) for place, count in edges.items()}) if ways else Counter()


def _letters(members: Sequence[int]) -> list[int]:
    """Split the characters into sets that no class tells apart."""
    everything = 0
    for one in members:
        everything |= one
    parts = [everything] if everything else []
    for one in members:
        parts = [piece for part in parts for piece in (part & one, part & ~one) if piece]
        if len(parts) > _MAX_SETS:
            break  # larger sets overestimate the ways, which is safe
    return parts


def _components(following: Sequence[Sequence[int]]) -> list[int]:  # noqa: C901 -- Tarjan's algorithm
    """Return the number of each node's strongly connected component; later components have lower numbers."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    found, open_nodes, count = [-1] * len(following), [], 0
    for root in range(len(following)):
        work = [(root, iter(following[root]))] if root not in index else []
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                open_nodes.append(node)
            for other in rest:
                if other not in index:
                    work.append((other, iter(following[other])))
                    break
                if found[other] < 0:
                    low[node] = min(low[node], low[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    while True:
                        member = open_nodes.pop()
                        found[member] = count
                        if member == node:
                            break
                    count += 1
    return found
