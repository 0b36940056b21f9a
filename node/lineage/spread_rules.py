"""The rules of runs beyond `any`: what a question vouches for, and what sites declare (`declared.py`).

A rule cuts the edges between a run's inputs and outputs, and perhaps puts narrower ones in their place. What it cuts
stays in the graph as CUT, so that the answer says which rule excluded what.
"""

from decimal import Decimal

from node.lineage.declared import Declared, SiteRule, Topic
from node.lineage.hazards import RULES, Hazard
from node.lineage.plug_flow import passages
from node.lineage.portions import PortionKind
from node.lineage.readings import VERIFIED
from node.lineage.records import PostingKind
from node.lineage.runs import Run
from node.lineage.scope_question import RunRule, ScopeQuestion
from node.lineage.spread_graph import Link, SpreadGraph


class RunRules:
    """The rules of one question. mixed: runs whose outputs are alike. relied: declarations that were relied on, by

    rule, place and member. cut_by: of a CUT edge, the rule that cut it. refused: (place, warning) of declarations that
    count for nothing. site_rules: the declarations themselves.
    """

    def __init__(self, graph: SpreadGraph, question: ScopeQuestion) -> None:
        self.mixed: list[Run] = []
        self.relied: dict[SiteRule, None] = {}
        self.cut_by: dict[int, RunRule | SiteRule] = {}
        self.refused: dict[tuple[str, str], None] = {}
        self._graph = graph
        self._question = question
        self._hazard = RULES[question.hazard]
        self.site_rules = Declared(graph.facts.masters, question.distrusted)
        self._ruled: set[object] = set()

    def apply(self, run: Run) -> None:
        """Let the rules of a loaded run narrow it, once."""
        if run.key in self._ruled:
            return
        self._ruled.add(run.key)
        is_killed = self._apply_kills(run)
        for rule in self._stated(run):
            if rule.rule == "assigned" and self._hazard.by_amount:
                keep: dict[str, set[str]] = {}
                for source, target in rule.pairs:
                    keep.setdefault(target, set()).add(source)
                self._cut(run, rule, keep=keep)
            elif rule.rule == "mixed" and not is_killed:
                self.mixed.append(run)
        declared = self._find(run, Topic.MIXING)
        if declared is None:
            return
        # What is mixed only adds certainty, so it holds for what spreads, too; plug flow excludes, and must not.
        if declared.rule == "mixed" and not is_killed:
            self.relied[declared] = None
            if not any(one is run for one in self.mixed):
                self.mixed.append(run)
        elif declared.rule == "fifo" and self._hazard.by_amount:
            self.relied[declared] = None
            self._flow_in_order(run, declared)

    def _stated(self, run: Run) -> list[RunRule]:
        """Return what the question vouches for of a run: by one of its events, or by a name that is of no other run."""
        if not self._question.rules:
            return []
        names, name = _names_of_run(run), run.key[0]
        stated = [rule for rule in self._question.rules if rule.run in names]
        if isinstance(name, str) and any(rule.run == name for rule in stated) and self._is_shared(name, run):
            self.refused[name, "run_of_several"] = None
            stated = [rule for rule in stated if rule.run != name]
        return stated

    def _is_shared(self, name: str, run: Run) -> bool:
        """Return whether firms that the record tells apart have runs of this name."""
        timelines, custody, mine = self._graph.facts.timelines, self._graph.facts.custody, run.key[1]
        return mine is not None and any(
            not custody.custodian_of(entry.row).may_be(mine)
            for kind in (PostingKind.RUN_INPUT, PostingKind.RUN_OUTPUT)
            for entry in timelines.of_key(kind, name).entries
        )

    def _apply_kills(self, run: Run) -> bool:
        """Cut a run whose kill step ends this hazard, vouched for or declared; return whether one does."""
        if not self._hazard.kill_step:
            return False
        stated = [rule for rule in self._stated(run) if rule.rule == "kill_step"]
        declared = self.declared(run, Topic.KILL_STEP)
        kills: list[RunRule | SiteRule] = [rule for rule in stated if self._kills(rule.agents, run)]
        if declared is not None and self._kills(declared.agents, run):
            kills.append(declared)
        for rule in kills:
            self._cut(run, rule, keep={})
        return bool(kills)

    def declared(self, run: Run, topic: Topic) -> SiteRule | None:
        """Return what a site declares of a run, and note that it was relied on, or that it counts for nothing."""
        rule = self._find(run, topic)
        if rule is not None:
            self.relied[rule] = None
        return rule

    def carry_over(self, run: Run, site: str, line: str | None) -> SiteRule | None:
        """Return how far a line, or its site, carries over what this run leaves behind; None: nobody declares that."""
        rule, warning, place = self.site_rules.carry_over(run, site, line)
        if warning is not None:
            self.refused[place, warning] = None
        elif rule is not None and rule.record:
            self.relied[rule] = None
        return rule

    def _find(self, run: Run, topic: Topic) -> SiteRule | None:
        rule, warning, place = self.site_rules.rule_of(run, topic)
        if warning is not None:
            self.refused[place, warning] = None
        return rule

    def _kills(self, agents: tuple[str, ...], run: Run) -> bool:
        """Return whether the step stops this hazard: by its agent, with a passing record of this very run."""
        agent = self._question.agent
        if not self._hazard.kill_step or self._question.hazard is not Hazard.MICROBE or agent is None:
            return False
        passed = bool(run.outputs) and all(line.row.event.disposition == VERIFIED for line in run.outputs)
        return passed and agent.casefold() in {one.casefold() for one in agents}

    def _flow_in_order(self, run: Run, rule: SiteRule) -> None:
        """First in, first out: of each input an output holds at most what plug flow lets come there."""
        found = passages(run, rule.heel, rule.uom, self._graph.facts.readings)
        if found is None:
            return
        self._cut_inside(run, rule)
        for passage in found:
            most: Decimal = passage.most
            source = self._graph.line_of(passage.source.item, passage.source.row, PortionKind.USED)
            target = self._graph.line_of(passage.target.item, passage.target.row, PortionKind.OUTPUT)
            if source is None or target is None:
                continue
            if most > 0:
                uom = run.portions[passage.target.portion].uom
                self._graph.add_edge(source, target, most, uom, Link.FACT)

    def _cut_inside(self, run: Run, rule: RunRule | SiteRule) -> None:
        """Cut a run's outputs from all that was in it."""
        graph = self._graph
        for line in run.outputs:
            target = graph.line_of(line.item, line.row, PortionKind.OUTPUT)
            for number in () if target is None else graph.into[target]:
                edge = graph.edges[number]
                if graph.vertices[edge.source].run is run:
                    graph.edges[number] = edge._replace(link=Link.CUT, why=rule.rule)
                    self.cut_by[number] = rule

    def _cut(self, run: Run, rule: RunRule | SiteRule, *, keep: dict[str, set[str]]) -> None:
        """Cut a run's outputs from its inputs, but for the pairs that an assigned map keeps."""
        graph = self._graph
        self._cut_inside(run, rule)
        for line in run.outputs:
            target = graph.line_of(line.item, line.row, PortionKind.OUTPUT)
            if target is None:
                continue
            given = graph.vertices[target].portion
            for taken in run.inputs:
                if taken.item not in keep.get(line.item, ()):
                    continue
                source = graph.line_of(taken.item, taken.row, PortionKind.USED)
                if source is not None:
                    graph.add_edge(source, target, given.hi, given.uom, Link.FACT)


def _names_of_run(run: Run) -> set[str]:
    names = {line.row.event.event_digest.hex() for line in (*run.inputs, *run.outputs)}
    return names | {run.key[0]} if isinstance(run.key[0], str) else names
