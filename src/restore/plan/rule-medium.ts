import { compareMedia, type MediaCapture, type VcdReference, type VdcResources } from '../../vcd/index.js';
import type { MediumPlan, PlanItem } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { assertKeys, planItem } from './choose.js';
import { placedEntry, ruleCatalog, type TodaysCatalogs } from './rule-catalog.js';
import { ruleOwner } from './rule-people.js';
import { matchProfile } from './rule-storage.js';
import { ruleVdc } from './rule-vdc.js';

/** What a medium is restored into. */
export interface MediumToday {
  catalogs: TodaysCatalogs;
  organizationName: string;
  /** Undefined where the captured one is not there and none was named. */
  vdc: Pick<VdcResources, 'href' | 'id' | 'name' | 'storageProfiles'> | undefined;
  /** All of its organization. */
  vdcs: readonly { id: string; name: string }[];
  users: ReadonlyMap<string, VcdReference>;
}

/** Pure: the same restore point, cloud and choices give the same plan. */
export function ruleMedium(
  captured: MediaCapture,
  today: MediumToday,
  request: Pick<RestoreRequest, 'name' | 'catalogId' | 'choices'>,
): Pick<MediumPlan, 'wanted' | 'place' | 'owner' | 'storageProfileHref' | 'items'> {
  const { choices } = request;
  const profileName = captured.storageProfile?.name;
  assertKeys('storageProfiles', choices.storageProfiles, profileName === undefined ? [] : [profileName]);
  const { place, items } = ruleCatalog('media', { name: captured.name, catalog: captured.catalogEntry.catalog }, today.catalogs, request);
  const storage = ruleStorage(captured, today, choices.storageProfiles);
  items.push(...storage.items);
  const owned = ruleMediumOwner(captured, today, choices.owner);
  items.push(...owned.items);
  const { storageProfile: _, owner: __, ...rest } = captured;
  const wanted: MediaCapture = {
    ...rest,
    name: place.name,
    vdc: { ...captured.vdc, name: today.vdc?.name },
    ...(storage.profile && { storageProfile: storage.profile }),
    ...(owned.owner && { owner: owned.owner }),
    catalogEntry: placedEntry(captured.catalogEntry, place),
  };
  return { wanted, place, owner: owned.owner, storageProfileHref: storage.profile?.href, items: withTheRest(captured, wanted, items) };
}

function ruleStorage(
  captured: MediaCapture,
  { vdc, vdcs, catalogs }: MediumToday,
  chosen: RestoreRequest['choices']['storageProfiles'],
): { profile: VcdReference | undefined; items: PlanItem[] } {
  const was = captured.vdc.name ?? captured.vdc.href;
  if (vdc === undefined) {
    const catalog = `catalog "${catalogs.chosen?.name ?? ''}"`;
    const sentence = `VDC "${was}" of medium "${captured.name}" is not in the organization of ${catalog}; VCD keeps the medium where it keeps what comes into ${catalog} without a storage profile, unless vdcId names a VDC.`;
    const missing = (attribute: string, value: string | undefined) =>
      planItem(attribute, 'missing', { captured: value, planned: undefined }, sentence, {
        choice: { field: 'vdcId', chosen: null, options: vdcs.map(({ id, name }) => ({ value: id, label: name })) },
      });
    const profileName = captured.storageProfile?.name;
    return {
      profile: undefined,
      items: [missing('vdc', was), ...(profileName === undefined ? [] : [missing('storageProfile', profileName)])],
    };
  }
  const { profile, item } = matchProfile(captured.storageProfile, vdc, chosen, 'storageProfile', `medium "${captured.name}"`);
  const where = ruleVdc(captured.vdc, vdc, vdcs);
  return { profile, items: item === undefined ? [where] : [where, item] };
}

function ruleMediumOwner(
  captured: MediaCapture,
  { users, organizationName }: MediumToday,
  chosen: string | undefined,
): ReturnType<typeof ruleOwner> {
  if (captured.owner === undefined && chosen === undefined) return { owner: undefined, items: [] };
  return ruleOwner(captured.owner ?? { href: '' }, users, organizationName, chosen);
}

/** Attributes no rule has to say anything of fit: they are written as they were. */
function withTheRest(captured: MediaCapture, wanted: MediaCapture, ruled: readonly PlanItem[]): PlanItem[] {
  const said = new Set(ruled.map(({ attribute }) => attribute));
  const rest = compareMedia(captured, wanted).filter(({ path }) => !said.has(path));
  const items = rest.map(({ path, expected, actual, equal }) =>
    planItem(
      path,
      equal ? 'fits' : 'changed',
      { captured: expected, planned: actual },
      equal ? '' : `It is ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}.`,
    ),
  );
  return [...ruled, ...items].sort((a, b) => (a.attribute < b.attribute ? -1 : a.attribute > b.attribute ? 1 : 0));
}
