import { element, type XmlElement } from '../common/index.js';
import { sendChange, type VcdContext } from './context.js';
import { sendOnce } from './creation.js';
import { withoutChildren } from './edit-vapp.js';
import { badAnswer } from './error.js';
import { linkHref, sameEntity, under, userView } from './links.js';
import { MEDIA, VCLOUD } from './namespaces.js';
import { taskOf, waitForTask } from './tasks.js';
import type { WantedAffinityRule } from './types.js';

/**
 * Makes each rule be there with (at least) its VMs: one of the same name and polarity that has a VM of it already is
 * changed, for VCD lets no polarity be changed; otherwise it is made. VCD lets rules share a name: one without any of
 * these VMs is somebody else's, such as that of the vApp a copy was made from.
 * @throws VcdError with VCD's sentence, as for a VM of another VDC
 */
export async function writeAffinityRules(
  context: VcdContext,
  vdcHref: string,
  rules: readonly WantedAffinityRule[],
  signal?: AbortSignal,
): Promise<void> {
  if (rules.length === 0) return;
  const present = await readRules(context, vdcHref, signal);
  for (const wanted of rules) {
    const rule = ruleLike(present, wanted);
    if (rule === undefined) await createRule(context, vdcHref, wanted, signal);
    else await changeRule(context, rule, wanted, signal);
  }
}

async function readRules(context: VcdContext, vdcHref: string, signal?: AbortSignal): Promise<XmlElement[]> {
  const subject = context.names.label(vdcHref);
  const operation = `Reading the affinity rules of ${subject}`;
  const root = (await context.http.get(rulesHref(vdcHref), operation, signal, subject)).root();
  if (root.local !== 'VmAffinityRules') throw badAnswer(operation, `the answer is a ${root.local}, not affinity rules`);
  return root.childrenNamed('VmAffinityRule');
}

/** Rules are of the user view of a VDC alone. */
function rulesHref(vdcHref: string): string {
  return under(userView(vdcHref), 'vmAffinityRules', '');
}

function ruleLike(rules: readonly XmlElement[], wanted: WantedAffinityRule): XmlElement | undefined {
  return rules.find(
    (rule) =>
      rule.textAt('Name') === wanted.name &&
      rule.textAt('Polarity') === wanted.polarity &&
      membersOf(rule).some((member) => wanted.vmHrefs.some((href) => sameEntity(member.attribute('href') ?? '', href))),
  );
}

export function membersOf(rule: XmlElement): XmlElement[] {
  return rule.childrenNamed('VmReferences').flatMap((list) => list.childrenNamed('VmReference'));
}

/** 202 with a task. VCD may let two rules share a name, so a lost answer is settled by looking. */
async function createRule(context: VcdContext, vdcHref: string, wanted: WantedAffinityRule, signal?: AbortSignal): Promise<void> {
  const subject = `affinity rule "${wanted.name}"`;
  const operation = `Making ${subject} in ${context.names.label(vdcHref)}`;
  const send = async (): Promise<XmlElement[]> => {
    const answer = await context.http.request({
      method: 'POST',
      href: rulesHref(vdcHref),
      operation,
      subject,
      body: affinityRuleBody(wanted),
      contentType: MEDIA.affinityRule,
      signal,
    });
    return [taskOf(answer, operation)];
  };
  const find = async () => (ruleLike(await readRules(context, vdcHref, signal), wanted) === undefined ? undefined : []);
  const { taskPollMs: pollMs, taskTimeoutMs: timeoutMs } = context;
  for (const task of await sendOnce(context, send, find, signal))
    await waitForTask(context.http, task, { operation, subject, pollMs, timeoutMs, signal, cancelOnAbort: true });
}

/** Element order of AffinityRuleType and VmAffinityRuleType: Name, IsEnabled, IsMandatory, Polarity, VmReferences. */
export function affinityRuleBody(wanted: WantedAffinityRule): XmlElement {
  return element(
    'VmAffinityRule',
    VCLOUD,
    {},
    element('Name', VCLOUD, {}, wanted.name),
    element('IsEnabled', VCLOUD, {}, String(wanted.enabled)),
    element('IsMandatory', VCLOUD, {}, String(wanted.mandatory)),
    element('Polarity', VCLOUD, {}, wanted.polarity),
    element('VmReferences', VCLOUD, {}, ...wanted.vmHrefs.map(vmReference)),
  );
}

function vmReference(href: string): XmlElement {
  return element('VmReference', VCLOUD, { href, type: MEDIA.vm });
}

async function changeRule(context: VcdContext, rule: XmlElement, wanted: WantedAffinityRule, signal?: AbortSignal): Promise<void> {
  const body = changedRule(rule, wanted);
  const href = linkHref(rule, 'edit', MEDIA.affinityRule) ?? rule.attribute('href');
  if (body === undefined) return;
  if (href === undefined) throw badAnswer(`Writing the affinity rule "${wanted.name}"`, 'the rule has no address');
  context.names.remember(href, wanted.name);
  await sendChange(context, {
    method: 'PUT',
    href,
    doing: 'Writing',
    entityHref: href,
    body,
    contentType: MEDIA.affinityRule,
    signal,
  });
}

/** Undefined where the rule is as wanted already. Its other VMs stay. */
export function changedRule(rule: XmlElement, wanted: WantedAffinityRule): XmlElement | undefined {
  const members = membersOf(rule);
  const missing = wanted.vmHrefs.filter((href) => !members.some((member) => sameEntity(member.attribute('href') ?? '', href)));
  const flags = { IsEnabled: String(wanted.enabled), IsMandatory: String(wanted.mandatory) };
  const differs = Object.entries(flags).some(([local, value]) => (rule.textAt(local) ?? 'true') !== value);
  if (missing.length === 0 && !differs) return undefined;
  const body = withoutChildren(rule, 'Link');
  for (const [local, value] of Object.entries(flags)) setFlag(body, local, value);
  body.child('VmReferences')?.append(...missing.map(vmReference));
  return body;
}

/** Both are optional in what VCD sends ("true" where left out), and stand before Polarity. */
function setFlag(rule: XmlElement, local: string, value: string): void {
  const present = rule.child(local);
  if (present) {
    present.setText(value);
    return;
  }
  const parts = rule.elements();
  const before = local === 'IsEnabled' ? ['IsMandatory', 'Polarity', 'Scope', 'VmReferences'] : ['Polarity', 'Scope', 'VmReferences'];
  const at = parts.findIndex((part) => before.includes(part.local));
  parts.splice(at < 0 ? parts.length : at, 0, element(local, VCLOUD, {}, value));
  rule.children = parts;
}
