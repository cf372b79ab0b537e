"""Writing a policy in the site: checked as one types, compared, replayed, published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from e2i_site.core.errors import Conflict, InvalidInput, Refused
from e2i_site.core.http import go_to, number_in
from e2i_site.core.moments import past_moment
from e2i_site.core.partials import render_page
from registry.actions.publish_policy import publish_in_person
from registry.document.read import DocumentInvalid
from registry.document.schema import DOCUMENT_KEYS, STAGE_KEYS
from registry.document.write import source_of
from registry.gates.base import all_gates
from registry.models import PromotionPolicy
from registry.policies import may_manage_policies, may_replay
from registry.policy_forms import PolicyForm
from registry.replay.run import replay
from registry.views.policy_draft import Draft

if TYPE_CHECKING:
    from django.contrib.auth.models import User

TEMPLATE = "registry/policy_editor.html"
BLANK = """\
name:
stages:
  staging:
    gates:
      - id: artifact_digest
    approvals:
      count: 1
      roles: [approver]
"""


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def editor(request: HttpRequest) -> HttpResponse:
    """Write a policy, beginning with ?from=NAME&version=N or a blank one; POST publishes it."""
    person = cast("User", request.user)
    may_replay(person).enforce()
    if request.method == "POST":
        return _publish(request, person)
    source, opened = _beginning(request)
    return _page(request, PolicyForm(initial={"source": source, "opened": opened}))


@sensitive_post_parameters("password")
@login_required
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """What is wrong with the text, or what it says and would change; publishes nothing."""
    may_replay(cast("User", request.user)).enforce()
    return _page(request, PolicyForm(initial=_typed(request)))


@sensitive_post_parameters("password")
@login_required
@require_POST
def replayed(request: HttpRequest) -> HttpResponse:
    """Which past promotions the text would have decided otherwise; it changes nothing."""
    may_replay(cast("User", request.user)).enforce()
    form = PolicyForm(initial=_typed(request))
    since = request.POST.get("since", "")
    moment = past_moment(since, field="since") if since else None
    draft = _draft(form)
    found = replay(draft.proposed, moment) if draft.proposed else None
    return _page(request, form, draft, replay=found, replayed=True, since=since)


def _publish(request: HttpRequest, person: User) -> HttpResponse:
    form = PolicyForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=400)
    data = {name: form.cleaned_data[name] for name in ("source", "seen", "reason", "password")}
    try:
        policy = publish_in_person(actor=person, **data)
    except DocumentInvalid:
        form.add_error("source", "It cannot be published as it is; every problem is named below.")
        return _page(request, form, status=400)
    except InvalidInput as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _page(request, form, status=400)
    except Refused as error:
        form.add_error(None, list(error.reasons))
        return _page(request, form, status=403)
    except Conflict as error:
        form.add_error(None, str(error))
        return _page(request, form, status=409)
    messages.success(request, f"{policy} is published and in force.")
    return go_to(request, policy)


def _beginning(request: HttpRequest) -> tuple[str, str]:
    """The text to begin with, and the newest version of its policy."""
    name, number = request.GET.get("from", ""), request.GET.get("version", "")
    if not name:
        return BLANK, ""
    versions = {each.version: each for each in PromotionPolicy.objects.filter(name=name)}
    newest = max(versions, default=0)
    wanted = number_in(number) if number.isdecimal() else newest
    if wanted is None or wanted not in versions:
        raise Http404(f"There is no version {number[:20] or newest} of policy {name}.")
    return source_of(versions[wanted]), str(versions[newest])


def _typed(request: HttpRequest) -> dict[str, Any]:
    return {name: request.POST.get(name, "") for name in ("source", "opened", "reason")}


def _draft(form: PolicyForm) -> Draft:
    return Draft(form["source"].value() or "", form["opened"].value() or "")


def _page(
    request: HttpRequest,
    form: PolicyForm,
    draft: Draft | None = None,
    *,
    status: int = 200,
    **extra: Any,
) -> HttpResponse:
    context = {
        "form": form,
        "draft": draft or _draft(form),
        "decision": may_manage_policies(cast("User", request.user)),
        "document_keys": DOCUMENT_KEYS,
        "stage_keys": STAGE_KEYS,
        "gates": all_gates(),
        **extra,
    }
    return render_page(request, TEMPLATE, context, partials=("check", "replay"), status=status)
