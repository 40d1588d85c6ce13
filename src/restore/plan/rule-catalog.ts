import type { CatalogEntry, VappCapture, VcdReference } from '../../vcd/index.js';
import type { CatalogPlace, PlanItem } from '../plan-types.js';
import type { RestoreRequest } from '../restore-request.js';
import { planItem } from './choose.js';

export type ItemKind = 'vapp-template' | 'media';

/** The VCD catalogs of today, as far as a restore into one of them needs them. */
export interface TodaysCatalogs {
  /** Those of the organization that takes part. */
  all: (VcdReference & { name: string; id: string })[];
  /** The one that receives it; undefined where the captured one is gone and none was named. */
  chosen: TodaysCatalogs['all'][number] | undefined;
  /** `chosen` is subscribed to a catalog of elsewhere. */
  readOnly: boolean;
  /** What has the restored one's name in the chosen catalog. */
  namesake: { entityHref: string; kind: ItemKind } | undefined;
}

const WORDS: Record<ItemKind, string> = { 'vapp-template': 'vApp template', media: 'medium' };

/** The catalog that receives a template or medium, and its name there. A catalog takes each name once, whatever it is of. */
export function ruleCatalog(
  kind: ItemKind,
  captured: { name: string; catalog: VcdReference | undefined },
  today: TodaysCatalogs,
  request: Pick<RestoreRequest, 'name' | 'catalogId' | 'choices'>,
): { place: CatalogPlace; items: PlanItem[] } {
  const name = request.name ?? captured.name;
  const items = [ruleWhere(kind, captured.catalog, today, request)];
  const { chosen, namesake } = today;
  const replaces = namesake?.kind === kind && request.choices.existingItem === 'replace';
  items.push(...ruleItemName(kind, { captured: captured.name, planned: name }, today, replaces));
  if (replaces) {
    const sentence = `The present ${WORDS[kind]} "${name}" of catalog "${chosen?.name ?? ''}" is deleted once the restored one stands, as the request says.`;
    const choice = { field: 'existingItem', chosen: 'replace', options: REPLACE };
    items.push(planItem('existingItem', 'changed', { captured: null, planned: 'replace' }, sentence, { choice }));
  }
  return { place: { catalog: chosen, name, replaced: replaces ? { entityHref: namesake.entityHref, name } : undefined }, items };
}

/** Of a template, also what its capture will have by it. */
export function ruleTemplatePlace(
  captured: VappCapture,
  today: TodaysCatalogs,
  request: Parameters<typeof ruleCatalog>[3],
): ReturnType<typeof ruleCatalog> & { wanted: Pick<VappCapture, 'catalogEntry'> } {
  const { catalogEntry } = captured;
  const ruled = ruleCatalog('vapp-template', { name: captured.name, catalog: catalogEntry?.catalog }, today, request);
  return { ...ruled, wanted: catalogEntry ? { catalogEntry: placedEntry(catalogEntry, ruled.place) } : {} };
}

/** The item goes by the name of what it is of. */
export function placedEntry(captured: CatalogEntry, { catalog, name }: CatalogPlace): CatalogEntry {
  return { ...captured, catalog: catalog ?? captured.catalog, item: { ...captured.item, name } };
}

const REPLACE = [{ value: 'replace', label: 'Delete it once the restored one stands' }];

function ruleWhere(
  kind: ItemKind,
  captured: VcdReference | undefined,
  { all, chosen, readOnly }: TodaysCatalogs,
  request: Pick<RestoreRequest, 'catalogId'>,
): PlanItem {
  const was = captured?.name ?? captured?.href;
  const options = all.filter(({ id }) => !readOnly || id !== chosen?.id).map(({ id, name }) => ({ value: id, label: name }));
  const choice = { field: 'catalogId', chosen: chosen?.id ?? null, options };
  const values = { captured: was ?? null, planned: chosen?.name ?? null };
  const what = `the ${WORDS[kind]}`;
  if (chosen === undefined) {
    const why = was === undefined ? `The ${WORDS[kind]} was in no catalog` : `Catalog "${was}" is not there any more`;
    const sentence = `${why}; name with catalogId the one that is to have ${what}.`;
    return planItem('catalogEntry.catalog', 'missing', values, sentence, { choice, needsChoice: true });
  }
  if (readOnly) {
    const sentence = `Catalog "${chosen.name}" is a subscribed copy of another catalog and takes nothing of its own; name another with catalogId.`;
    return planItem('catalogEntry.catalog', 'not-permitted', values, sentence, { choice, needsChoice: true });
  }
  if (chosen.name === was) return planItem('catalogEntry.catalog', 'fits', values, '', { choice });
  const sentence =
    request.catalogId === undefined
      ? `Catalog "${was}" is called "${chosen.name}" today.`
      : `The request puts ${what} into catalog "${chosen.name}"${was === undefined ? '' : ` instead of "${was}"`}.`;
  return planItem('catalogEntry.catalog', 'changed', values, sentence, { choice });
}

function ruleItemName(kind: ItemKind, values: { captured: string; planned: string }, today: TodaysCatalogs, replaces: boolean): PlanItem[] {
  const { chosen, namesake } = today;
  const { captured, planned } = values;
  if (namesake !== undefined && !replaces) {
    const same = namesake.kind === kind;
    const advice = same ? 'delete it with choices.existingItem "replace", or choose another name' : 'choose another name';
    const sentence = `Catalog "${chosen?.name ?? ''}" already has a ${WORDS[namesake.kind]} "${planned}"; ${advice}.`;
    const choice = same ? { field: 'existingItem', chosen: null, options: REPLACE } : { field: 'name', chosen: null, options: [] };
    return [planItem('name', 'not-permitted', values, sentence, { choice, needsChoice: true })];
  }
  if (planned === captured) return [planItem('name', 'fits', values)];
  const sentence = `It is restored as "${planned}", as the request says.`;
  return ['name', 'catalogEntry.name'].map((attribute) => planItem(attribute, 'changed', values, sentence));
}
