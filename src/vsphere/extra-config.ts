/**
 * Written by the host, or true only where and when the VM ran. Kept are, among others, PCI slot
 * numbers (the guest names its NICs by them), disk.EnableUUID and guestinfo of the user.
 */
const HOST_SPECIFIC = [
  /^nvram$/,
  /^sched\.swap\./,
  /^(vmware\.)?log\./,
  /^vmware\.(log|tools)/,
  /^uuid\./,
  /^vc\.uuid$/,
  /^migrate\./,
  /^viv\.moid$/,
  /\.?ctkEnabled$/i,
  /^(host|guest|user)CPUID\./,
  /^evcCompatibilityMode$/,
  /^monitor\.phys_bits_used$/,
  /^softPowerOff$/,
  /^cleanShutdown$/,
  /^extendedConfigFile$/,
  /^vmxstats\.filename$/,
  /^numa\.autosize\./,
  /^checkpoint\./,
  /^replay\./,
  /^snapshot\./,
  /^toolsInstallManager\./,
  /^guestOS\.detailed\.data$/,
  /^guestinfo\.(vmtools|appInfo|driver)\b/,
  /^encryption\./,
  /\.redo$/,
  /^dataSets\./,
  /^hbr_filter\./,
  /^faultTolerance\./,
  /^vmotion/,
  /^ethernet\d+\.(externalId|dvs\.|networkName)/,
  /^(scsi|sata|nvme|ide|floppy|serial|parallel)\d+(:\d+)?\.fileName$/,
];

/** @returns whether an extraConfig entry is left out of a new VM. `encryption.bundle` is decided elsewhere. */
export function isHostSpecific(key: string): boolean {
  return HOST_SPECIFIC.some((pattern) => pattern.test(key));
}
