/**
 * Where nobody outside VMware could confirm what a cell does, and where cells are known to differ:
 * the first value of each is what the simulator does unless told otherwise.
 */
export const VARIANTS = {
  /** Older guides answer an expired session with 403, later ones with 401. */
  expiredSession: ['401', '403'],
  /** What a tenant's write to a vApp in maintenance mode is answered. */
  maintenanceWrite: ['400', '403'],
  /** enterMaintenanceMode of a vApp that is in it. */
  enterMaintenanceTwice: ['204', '400'],
  /** Who owns an imported vApp (captured with 8.10: "system"). */
  importOwner: ['system', 'importer'],
  /** Whether an imported VM's NICs find their networks by port group, or come back on none. */
  importNetworks: ['derived', 'none'],
  /** A NIC with a MAC address that another VM of the cloud has. */
  duplicateMac: ['accepted', '400'],
  /** Operations of a vCenter that is busy: 400 BUSY_ENTITY, or the 500 "is currently busy" that go-vcloud-director knows. */
  busyVcenter: ['BUSY_ENTITY', '500'],
  /** vCloud as default namespace (10.x), or a numbered prefix for everything (5.5). */
  prefixes: ['default', 'numbered'],
  /** Case of `type` attributes. */
  mediaTypeCase: ['camel', 'lower', 'upper'],
  /** Elements and attributes that no schema of ours has, as a later API would answer them. */
  unknownContent: ['none', 'added'],
  /** Every typed link once for XML and once for JSON (10.x), or for XML only. */
  links: ['doubled', 'xml'],
} as const;

export type VariantName = keyof typeof VARIANTS;
export type Variants = { [Name in VariantName]: (typeof VARIANTS)[Name][number] };

export function defaultVariants(): Variants {
  return Object.fromEntries(Object.entries(VARIANTS).map(([name, values]) => [name, values[0]])) as Variants;
}

/** Changes `variants`. @param chosen names and values as they came in. @throws RangeError with one sentence; then nothing is changed. */
export function chooseVariants(variants: Variants, chosen: Readonly<Record<string, unknown>>): Variants {
  for (const [name, value] of Object.entries(chosen)) {
    const values: readonly string[] | undefined = Object.hasOwn(VARIANTS, name) ? VARIANTS[name as VariantName] : undefined;
    if (!values) throw new RangeError(`There is no variant "${name}"; variants are ${Object.keys(VARIANTS).join(', ')}.`);
    if (typeof value !== 'string' || !values.includes(value)) throw new RangeError(`The variant ${name} is one of ${values.join(', ')}.`);
  }
  return Object.assign(variants, chosen);
}

/** "name=value,name=value" of the command line. @throws RangeError with one sentence. */
export function parseVariants(text: string): Partial<Variants> {
  const chosen = Object.fromEntries(
    text.split(',').map((part) => {
      const match = /^(\w+)=(\w+)$/.exec(part.trim());
      if (!match) throw new RangeError(`"${part}" is no variant; variants read name=value,name=value.`);
      return [match[1], match[2]];
    }),
  ) as Partial<Variants>;
  chooseVariants(defaultVariants(), chosen);
  return chosen;
}
