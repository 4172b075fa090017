"""All checks, in order, one line each."""
import importlib.util
import time

from lib import environment

from . import tools


class Report:
    def __init__(self) -> None:
        self.failed = False
        self.checks = 0

    def check(self, title: str, faults) -> None:
        start = time.monotonic()
        try:
            found = list(dict.fromkeys(faults))
        except Exception as error:  # a rendering that fails is a fault, not a reason to stop the other checks
            found = [f"{type(error).__name__}: {error}"]
        self.checks += 1
        self.failed = self.failed or bool(found)
        print(f"  {'FAILED' if found else 'ok    '} {title} ({time.monotonic() - start:.1f} s)")
        for fault in found[:20]:
            print(f"         {fault}")
        if len(found) > 20:
            print(f"         and {len(found) - 20} more")

    def skip(self, title: str, why: str) -> None:
        print(f"  skipped {title}: {why}")


def all_checks() -> int:
    from . import standalone

    report = Report()
    print("kubernetes:")
    if not environment.has("yaml"):
        report.skip("everything but the scripts", "PyYAML could not be installed from PyPI")
    else:
        manifests(report)
    report.check("terraform and shell scripts", standalone.faults(report.skip))
    print(f"kubernetes: {report.checks} checks{', some FAILED' if report.failed else ' passed'}.")
    return 1 if report.failed else 0


def manifests(report: Report) -> None:
    from . import helm_chart, render, rules, schema, selftest, settings, standalone

    report.check("every dashboard of compose/ is for Grafana's sidecar too", standalone.dashboards())
    report.check("every use case has an overlay, and the reverse", standalone.use_cases())
    renderings: list = []
    kubectl, why = tools.kubectl()
    validates = environment.has("kubernetes_validate")
    if not validates:
        report.skip("strict schemas", "kubernetes-validate could not be installed from PyPI")
        schema.faults = lambda rendering: iter(())
    overlays: list = []
    combinations: list = []
    if kubectl is None:
        report.skip("Kustomize renderings", why)
    else:
        try:
            overlays, combinations = render.overlays(kubectl), render.combinations(kubectl)
        except RuntimeError as error:
            report.check("Kustomize renders", [str(error)])
        versions = " and ".join(schema.VERSIONS)
        report.check(
            f"{len(overlays)} overlays and {len(combinations)} combinations of components, strict schemas of Kubernetes {versions}",
            (f"{r.title}: {fault}" for r in [*overlays, *combinations] for fault in schema.faults(r)))
        for title, rule in rules.RULES.items():
            report.check(title, (f"{r.title}: {fault}" for r in [*overlays, *combinations] for fault in rule(r)))
        report.check("an overlay fits a Minikube of 3.5 GB and 2 CPUs", fits(overlays))
        if overlays and validates:
            report.check(f"the rules notice each of {len(selftest.DAMAGES)} damages", selftest.faults(overlays[0]))
        renderings += overlays + combinations
    if not environment.has("helm_python"):
        report.skip("the Helm chart", "helm-python-sdk could not be installed from PyPI")
    else:
        report.check(f"Helm lints and renders for {len(helm_chart.GOOD) + 1} sets of values", helm_chart.good())
        report.check(f"Helm refuses {len(helm_chart.BAD)} wrong sets of values and says why", helm_chart.bad())
        if overlays:
            report.check("Kustomize and Helm agree on every object", helm_chart.agreement(overlays))
            report.check("Kustomize's components and Helm's switches agree", helm_chart.component_agreement(combinations))
        charts = [render.chart(values, title, use_case) for title, use_case, values in helm_chart.GOOD]
        report.check("the chart with its default values fits it too", fits(charts[:1]))
        renderings += charts
    missing = settings.missing()
    if missing:
        report.skip("the executables understand what the manifests set", f"not built: {', '.join(missing)} (make build)")
    else:
        report.check("the executables understand what the manifests set", settings.faults(renderings))
    if overlays:
        if importlib.util.find_spec("yaml") and (environment.ROOT / "compose" / "core.yaml").exists():
            from . import compose

            report.check("Kafka's memory fits in compose too", compose.brokers())
            report.check("compose and Kubernetes agree on images, ports, settings and commands", compose.faults(overlays))
        else:
            report.skip("agreement with compose", "there is no compose/core.yaml")


def fits(renderings):
    from . import sizes

    for rendering in renderings:
        print(f"         {rendering.title}: {sizes.size(rendering).text}")
        yield from (f"{rendering.title}: {fault}" for fault in sizes.faults(rendering))
