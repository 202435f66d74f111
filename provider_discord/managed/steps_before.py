"""The steps before anything is asked of Discord: may this object be reconciled at all, and with what?"""

from __future__ import annotations

from provider_discord.managed import conditions, meta, results
from provider_discord.managed.claims import Claim
from provider_discord.managed.errors import Waiting
from provider_discord.managed.reconcile_pass import Pass, in_use
from provider_discord.managed.results import Result


def paused(p: Pass) -> Result | None:
    """Stop at the annotation or at empty policies, deletion included. Whoever lifts the pause wakes us."""
    if meta.is_paused(p.mr.obj):
        message = f"paused by the annotation {meta.PAUSED}"
    elif p.mr.policies.paused and p.tools.management_policies:
        message = "paused: spec.managementPolicies is empty"
    else:
        return None
    p.tools.announcer.notice(p.mr.obj, "ReconciliationPaused", f"reconciliation is {message}")
    p.set(conditions.reconcile_paused(message))
    p.report()
    return results.forget()


def paused_above(p: Pass) -> Result | None:
    """Stop while the object's config, or what it is inside of, is paused; deletion included, as for the object itself."""
    p.check_paused_above()
    return None


def requested(p: Pass) -> Result | None:
    """Take note of a request to reconcile now; its token goes into every status that this pass writes."""
    token = p.mr.annotations.get(meta.RECONCILE_REQUESTED_AT)
    if token and token != p.mr.status.get("lastHandledReconcileAt"):
        p.handled_request = token
        if p.tools.memory.requested.get(p.mr.uid) == token:
            return None
        p.tools.memory.requested[p.mr.uid] = token
        p.tools.announcer.normal(p.mr.obj, "ReconcileRequestHandled", f"handling reconcile request {token}")
    return None


def policies(p: Pass) -> Result | None:
    """Refuse a set of policies that Crossplane does not accept either. Only a change of the spec helps."""
    enabled = p.tools.management_policies
    if p.mr.policies.valid if enabled else p.mr.policies.default:
        return None
    why = (
        "is not a supported combination" if enabled else 'is not ["*"], and management policies are disabled'
    )
    message = f"spec.managementPolicies {p.mr.policies} {why}"
    p.tools.announcer.warning(p.mr.obj, "CannotUseInvalidManagementPolicy", message)
    p.set(conditions.reconcile_error(message))
    p.report()
    return results.forget()


def orphaned(p: Pass) -> Result | None:
    """Let an object go whose policies say that Discord shall keep what it stands for."""
    if not p.mr.deleting or p.mr.policies.deletes:
        return None
    return p.finish_deletion()


def swept_away(p: Pass) -> Result | None:
    """Let an object go that is deleted because its whole kind is, and leave what it stands for at Discord alone.

    Deleting a CustomResourceDefinition deletes every object of the kind, over all namespaces, by one command that
    few mean so. The API server marks the CRD before it marks the first object, so asking now tells for certain.
    """
    if not p.mr.deleting or meta.FINALIZER not in meta.finalizers_of(p.mr.obj):
        return None
    if not p.tools.kind_ends(p.mr.resource):
        return None
    what = f"external resource {p.mr.external_name}" if p.mr.external_name else "whatever it stands for"
    message = (
        f"the CustomResourceDefinition {p.mr.resource} is being deleted, and with it every {p.mr.kind} object: "
        f"this object goes, {what} stays at Discord as it is"
    )
    p.tools.announcer.warning(p.mr.obj, "LeftAlone", message)
    p.log.warning(
        "let go of an object whose CustomResourceDefinition is being deleted; nothing is deleted at Discord",
        external_name=p.mr.external_name,
    )
    return p.finish_deletion()


def claim(p: Pass) -> Result | None:
    """Claim the external name. The younger of two objects writes and deletes nothing.

    Nor does the older one delete what another object stands for too: it was copied, to another namespace say, and is
    deleted as the younger's condition advises.
    """
    if p.mr.external_name is None:
        if p.mr.uid not in p.tools.memory.created:
            # Left over from an adoption that did not come about: to others it would seem to be taken.
            p.unclaim()
        return None
    owner = p.claim(p.mr.external_name)
    if p.mr.deleting and meta.finalizers_of(p.mr.obj) in ([], [meta.FINALIZER]):
        heir = owner or _heir(p, p.mr.external_name)
        if heir is not None:
            now = "" if owner else " now"
            return p.leave_alone(
                f"external resource {p.mr.external_name} belongs to {heir}{now} and was left alone"
            )
    if owner is None:
        return None
    if p.mr.seen:  # It was its own once, and its Ready still says so.
        p.set(conditions.unavailable(f"external resource {p.mr.external_name} belongs to {owner}"))
    raise in_use(p.mr.external_name, owner)


def _heir(p: Pass, external_name: str) -> Claim | None:
    """Return who owns an external name once this object is gone; None: nobody, or only such as are deleted, too."""
    tools, store = p.tools, p.tools.stores[p.mr.resource]
    for one in tools.claims.claimants(p.mr.kind, external_name):
        has = one.writes or one.stood_for == external_name
        obj = store.get(one.key) if has and one.key != p.mr.key else None
        if obj is not None and not meta.is_deleting(obj):
            return one
    return None


def references(p: Pass) -> Result | None:
    """Resolve references into this pass's view. A config that is not usable is told before a reference that is not."""
    parent = p.parent
    try:
        p.mr = p.tools.references.resolve(p.mr, p.kind.references)
    except Waiting as cause:
        # Without its config the object could do nothing either, and that is mostly why what it refers to is not ready.
        p.tools.configs.session_for(p.mr)
        age = (p.tools.wall() - p.mr.created_at).total_seconds()
        if age > p.tools.timings.reference_patience_seconds:
            raise Waiting(str(cause), retry_after=cause.retry_after) from None
        raise
    if p.parent != parent:  # Only now it is known what the object is inside of.
        p.check_paused_above()
    return None


def connect(p: Pass) -> Result | None:
    """Track the usage first, then get the session and the external client.

    An object that is being deleted has been tracked before; in a namespace that is being deleted nothing can
    be created, and that must not hold the object's own end up.
    """
    if not p.mr.deleting:
        p.check_leading()
        p.tools.usages.track(p.mr)
    session = p.tools.configs.session_for(p.mr)
    p.external = p.kind.connector.connect(p.mr, session, p.context)
    return None
