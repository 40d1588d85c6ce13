import { badRequest } from './faults.js';

/** Addresses of entities as one viewer sees them: the provider is shown the admin path of networks and profiles. */
export class Hrefs {
  constructor(
    /** https://host:port */
    readonly base: string,
    readonly forProvider: boolean,
  ) {}

  readonly api = (path: string): string => `${this.base}/api/${path}`;
  readonly vapp = (id: string): string => this.api(`vApp/vapp-${id}`);
  readonly vm = (id: string): string => this.api(`vApp/vm-${id}`);
  readonly org = (id: string): string => this.api(`org/${id}`);
  readonly adminOrg = (id: string): string => this.api(`admin/org/${id}`);
  readonly vdc = (id: string): string => this.api(`vdc/${id}`);
  readonly adminVdc = (id: string): string => this.api(`admin/vdc/${id}`);
  readonly user = (id: string): string => this.api(`admin/user/${id}`);
  readonly task = (id: string): string => this.api(`task/${id}`);
  readonly vimServer = (id: string): string => this.api(`admin/extension/vimServer/${id}`);
  readonly providerVdc = (id: string): string => this.api(`admin/extension/providervdc/${id}`);
  readonly network = (id: string): string => this.api(`${this.forProvider ? 'admin/' : ''}network/${id}`);
  readonly storageProfile = (id: string): string => this.api(`${this.forProvider ? 'admin/' : ''}vdcStorageProfile/${id}`);
  readonly vappTemplate = (id: string): string => this.api(`vAppTemplate/vappTemplate-${id}`);
  readonly templateVm = (id: string): string => this.api(`vAppTemplate/vm-${id}`);
  readonly catalog = (id: string): string => this.api(`catalog/${id}`);
  readonly adminCatalog = (id: string): string => this.api(`admin/catalog/${id}`);
  readonly catalogItem = (id: string): string => this.api(`catalogItem/${id}`);
  readonly media = (id: string): string => this.api(`media/${id}`);
  readonly disk = (id: string): string => this.api(`disk/${id}`);
  readonly affinityRule = (id: string): string => this.api(`vmAffinityRule/${id}`);
  /** Outside /api, as cells have it. */
  readonly transfer = (transferId: string, file: string): string => `${this.base}/transfer/${transferId}/${encodeURIComponent(file)}`;
  readonly computePolicy = (id: string): string => `${this.base}/cloudapi/2.0.0/vdcComputePolicies/urn:vcloud:vdcComputePolicy:${id}`;
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

/**
 * The UUID at the end of a reference's href, whichever host and admin path it carries.
 * @param kind what stands before it: "vdc/", "vApp/vapp-" …
 * @throws VcdFault 400 INVALID_REFERENCE-like when it is not such a reference.
 */
export function idFromHref(href: string, kind: string): string {
  const match = new RegExp(`/${kind}(?:urn:vcloud:[a-zA-Z]+:)?(${UUID})/?$`).exec(href);
  if (!match) throw badRequest(`The reference "${href}" is not valid: expected a reference to ${kind.replace(/[/-].*$/, '')}.`);
  return match[1] as string;
}
