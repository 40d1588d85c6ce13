const PROVIDER = 'urn:vapp-vault:provider:';

/** VCD has no id of a first class disk: vSphere's, with the vCenter that says so. It stands where others have VCD's id. */
export function firstClassDiskUrn(vcenterInstanceUuid: string, diskId: string): string {
  return `urn:vapp-vault:first-class-disk:${vcenterInstanceUuid}:${diskId}`;
}

/**
 * Whose restore points of what belongs to no tenant are: a cloud's provider has keys and data of his own, as every organization
 * has. VCD's own System organization has the same id in every cloud, and so cannot stand for one of them.
 */
export function providerOrganizationId(cloudId: string): string {
  return `${PROVIDER}${cloudId}`;
}

export function isProviderOrganization(organizationId: string): boolean {
  return organizationId.startsWith(PROVIDER);
}

/** As VCD calls the organization of its provider. */
export const PROVIDER_NAME = 'System';
