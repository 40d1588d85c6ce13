import type { RepositoryApi } from '../../repository/index.js';
import {
  type MediaCapture,
  sameEntity,
  type VcdClientApi,
  VcdError,
  type VcdReference,
  type VdcRecord,
  type VdcResources,
} from '../../vcd/index.js';
import { RestoreError } from '../errors.js';
import type { MediumPlan, RestorePlanView } from '../plan-types.js';
import type { RestorePayload } from '../restore-request.js';
import { findUsers } from './examine.js';
import { examineCatalogs } from './examine-catalog.js';
import type { PlanParts } from './plan-restore.js';
import { countItems } from './plan-view.js';
import { readPoint } from './read-point.js';
import { ruleMedium } from './rule-medium.js';

/**
 * The restore of a medium held against today's cloud; it only reads.
 *
 * @throws RestoreError CATALOG_GONE, VDC_GONE, CHOICE_INVALID, RESTORE_REQUEST_INVALID, RESTORE_POINT_UNREADABLE; RepositoryError; VcdError
 */
export async function planMedium(payload: RestorePayload, parts: Omit<PlanParts, 'cloud'>, signal: AbortSignal): Promise<MediumPlan> {
  assertMediumTakes(payload);
  const { vcd } = parts;
  const { manifest, content, medium, captured } = await readMediumPoint(payload, parts.repository, signal);
  const { catalog } = captured.catalogEntry;
  const { catalogs, organizationId } = await examineCatalogs(payload, { ...captured, catalog }, vcd, signal);
  const { vdc, vdcs, organization } = await examineVdc(payload, captured, organizationId, vcd, signal);
  const owner = payload.choices.owner ?? captured.owner?.name;
  const users = await findUsers(owner === undefined ? [] : [owner], organization, vcd, signal);
  const today = { catalogs, organizationName: organization.name ?? '', vdc, vdcs, users };
  const ruled = ruleMedium(captured, today, payload);
  const known = await parts.catalog.vapp(content.vapp.id);
  const original = await presentMedium(known?.href || captured.href, vcd, signal);
  const { replaced } = ruled.place;
  return {
    payload,
    manifest,
    content,
    medium,
    captured,
    ...ruled,
    // Another one beside the original is not it.
    keepIdentity: original === undefined || (replaced !== undefined && sameEntity(replaced.entityHref, original)),
    organizationName: today.organizationName,
    vdcName: vdc?.name ?? '',
  };
}

/** The plan as a person sees it. */
export function mediumPlanView(plan: MediumPlan): RestorePlanView {
  return {
    restorePointId: plan.payload.restorePointId,
    mode: plan.payload.mode,
    vappName: plan.place.name,
    organizationName: plan.organizationName,
    vdcName: plan.vdcName,
    catalogName: plan.place.catalog?.name ?? null,
    canStart: plan.items.every((item) => !item.needsChoice),
    vms: [],
    removals: [],
    counts: countItems(plan.items),
    items: plan.items,
  };
}

const FIELDS_OF_VMS = ['vappId', 'vms', 'disk'] as const;

/** @throws RestoreError RESTORE_REQUEST_INVALID where a field has no meaning for what has no VM. */
function assertMediumTakes(payload: RestorePayload): void {
  const field = FIELDS_OF_VMS.find((name) => payload[name] !== undefined) ?? (payload.powerOn ? 'powerOn' : undefined);
  if (field === undefined) return;
  throw new RestoreError('RESTORE_REQUEST_INVALID', `Mode medium takes no ${field}: a medium has no VM.`, { field, mode: 'medium' });
}

async function readMediumPoint(
  payload: RestorePayload,
  repository: Pick<RepositoryApi, 'readManifest' | 'readDocument'>,
  signal: AbortSignal,
) {
  const point = await readPoint(payload, repository, signal);
  const { medium } = point.content;
  // A restore point of a medium keeps its MediaCapture where others keep a VappCapture (ManifestContent).
  const captured = point.captured as unknown as MediaCapture;
  if (medium !== undefined && captured.kind === 'media') return { ...point, medium, captured };
  throw new RestoreError('RESTORE_POINT_UNREADABLE', `Restore point ${payload.restorePointId} holds no medium.`);
}

/** The VDC that keeps it: the one that is named, else the captured one where it is of the catalog's organization. */
async function examineVdc(
  payload: RestorePayload,
  captured: MediaCapture,
  organizationId: string | undefined,
  vcd: VcdClientApi,
  signal: AbortSignal,
): Promise<{ vdc: VdcResources | undefined; vdcs: VdcRecord[]; organization: VcdReference }> {
  const vdcs: VdcRecord[] = [];
  for await (const vdc of vcd.vdcs(signal)) {
    if (organizationId === undefined || vdc.organizationId === organizationId) vdcs.push(vdc);
  }
  const found = vdcs.find((vdc) => vdc.id === (payload.vdcId ?? captured.vdc.id));
  if (payload.vdcId !== undefined && found === undefined) {
    const names = vdcs.map((vdc) => `"${vdc.name}" (${vdc.id})`).join(', ') || 'none';
    throw new RestoreError(
      'VDC_GONE',
      `vdcId names VDC ${payload.vdcId}, which is not in the organization of the catalog; choose one of: ${names}.`,
      {
        vdcId: payload.vdcId,
      },
    );
  }
  if (found !== undefined) {
    const vdc = await vcd.vdcResources(found.href, signal);
    return { vdc, vdcs, organization: vdc.organization };
  }
  const name = vdcs[0]?.organizationName;
  const elsewhere = organizationId !== undefined && organizationId !== captured.organization.id;
  return {
    vdc: undefined,
    vdcs,
    organization: elsewhere ? { href: '', id: organizationId, ...(name !== undefined && { name }) } : captured.organization,
  };
}

/** Its address, where it is still there. */
async function presentMedium(href: string, vcd: Pick<VcdClientApi, 'captureMedia'>, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await vcd.captureMedia(href, signal)).href;
  } catch (error) {
    if (error instanceof VcdError && error.code === 'MEDIA_NOT_FOUND') return undefined;
    throw error;
  }
}
