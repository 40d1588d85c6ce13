package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/vmware/go-vcloud-director/v2/govcd"
	"github.com/vmware/go-vcloud-director/v2/types/v56"
)

const (
	mib = 1 << 20
	// Where ISO 9660 has its mark: the client uploads nothing else as an image.
	isoMarkOffset = 0x8001
)

// tokens logs in without a password: with an API token, and as a service account whose token is good once.
func tokens() {
	for _, token := range described.APITokens {
		switch token.Kind {
		case "user":
			check("an API token opens sessions again and again", func() error {
				for range 2 {
					client, err := clientWithoutLogin()
					if err != nil {
						return err
					}
					refreshed, err := client.SetApiToken(token.Organization, token.Token)
					if err := first(err, ownSession(client, token.UserName)); err != nil {
						return err
					}
					if err := equal(refreshed.RefreshToken, ""); err != nil {
						return err
					}
				}
				return nil
			})
		case "service-account":
			check("a service account's token is replaced by the next", func() error { return serviceAccount(token) })
		}
	}
	check("a token nobody has is refused", func() error {
		client, err := clientWithoutLogin()
		if err != nil {
			return err
		}
		_, err = client.SetApiToken("System", "no-such-token")
		return refused(err, "error getting bearer token")
	})
}

func clientWithoutLogin() (*govcd.VCDClient, error) {
	endpoint, err := url.Parse(described.Vcd.URL + "/api")
	if err != nil {
		return nil, err
	}
	return govcd.NewVCDClient(*endpoint, false, govcd.WithAPIVersion("37.0")), nil
}

func ownSession(client *govcd.VCDClient, user string) error {
	info, err := client.Client.GetSessionInfo()
	if err != nil {
		return err
	}
	return equal(info.User.Name, user)
}

func serviceAccount(token apiToken) error {
	folder, err := os.MkdirTemp("", "vapp-vault-interop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "token.json")
	written, err := json.Marshal(map[string]string{"refresh_token": token.Token})
	if err := first(err, os.WriteFile(file, written, 0o600)); err != nil {
		return err
	}
	for range 2 {
		client, err := clientWithoutLogin()
		if err != nil {
			return err
		}
		if err := first(client.SetServiceAccountApiToken(token.Organization, file), ownSession(client, token.UserName)); err != nil {
			return err
		}
	}
	client, err := clientWithoutLogin()
	if err != nil {
		return err
	}
	_, err = client.SetApiToken(token.Organization, token.Token)
	return refused(err, "error getting bearer token")
}

// resources writes what stands beside vApps: catalogs with their contents, named disks, affinity rules.
func resources(client *govcd.VCDClient) {
	org, err := client.GetOrgByName("acme")
	if !check("an organization with a catalog", func() error { return err }) {
		return
	}
	check("catalogs, templates and media are found", func() error { return catalogContents(org) })
	check("a medium is uploaded in pieces, downloaded and deleted", func() error { return medium(org) })
	check("a vApp is captured, the template renamed, leased and deleted", func() error { return template(org) })
	vdc, err := org.GetVDCByName("acme-production", true)
	if !check("a VDC for disks and rules", func() error { return err }) {
		return
	}
	check("a named disk is made, attached where it is told to, detached, grown and deleted", func() error { return namedDisk(client, vdc) })
	check("an affinity rule is made, changed and deleted", func() error { return affinityRule(client, vdc) })
}

func catalogContents(org *govcd.Org) error {
	catalog, err := org.GetCatalogByName("images", true)
	if err != nil {
		return err
	}
	template, err := catalog.GetVAppTemplateByName("wiki-template")
	if err != nil {
		return err
	}
	name, err := template.GetCatalogName()
	if err != nil {
		return err
	}
	media, err := catalog.GetMediaByName("installer", true)
	if err != nil {
		return err
	}
	return first(equal(name, "images"), equal(len(template.VAppTemplate.Children.VM), 1), equal(media.Media.Size, int64(mib+2048)),
		equal(template.VAppTemplate.Children.VM[0].Name, "wiki"))
}

func medium(org *govcd.Org) error {
	content := bytes.Repeat([]byte("vapp-vault "), mib/8)
	copy(content[isoMarkOffset:], "CD001")
	folder, err := os.MkdirTemp("", "vapp-vault-interop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "disc.iso")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	catalog, err := org.GetCatalogByName("images", true)
	if err != nil {
		return err
	}
	upload, err := catalog.UploadMediaImage("disc-go", "by Go", file, mib/2)
	if err := first(err, upload.WaitTaskCompletion(), upload.GetUploadError()); err != nil {
		return err
	}
	media, err := catalog.GetMediaByName("disc-go", true)
	if err != nil {
		return err
	}
	downloaded, err := media.Download()
	if err := first(err, equal(bytes.Equal(downloaded, content), true)); err != nil {
		return err
	}
	return first(media.AddMetadataEntryWithVisibility("disc", "1", types.MetadataNumberValue, types.MetadataReadWriteVisibility, false),
		finish(media.Delete()), gone(catalog.GetMediaByName("disc-go", true)))
}

func gone(_ any, err error) error {
	return refused(err, "not found")
}

func template(org *govcd.Org) error {
	catalog, err := org.GetCatalogByName("images", true)
	if err != nil {
		return err
	}
	vdc, err := org.GetVDCByName("acme-production", true)
	if err != nil {
		return err
	}
	vapp, err := vdc.GetVAppByName("intranet", true)
	if err != nil {
		return err
	}
	captured, err := catalog.CaptureVappTemplate(&types.CaptureVAppParams{
		Name: "captured-go", Description: "by Go", Source: &types.Reference{HREF: vapp.VApp.HREF},
		CustomizationSection: types.CaptureVAppParamsCustomizationSection{Info: "CustomizeOnInstantiate Settings", CustomizeOnInstantiate: true},
	})
	if err != nil {
		return err
	}
	captured.VAppTemplate.Name = "renamed-go"
	renamed, err := captured.Update()
	if err != nil {
		return err
	}
	if err := first(equal(renamed.VAppTemplate.Name, "renamed-go"), renamed.RenewLease(86400)); err != nil {
		return err
	}
	lease, err := renamed.GetLease()
	if err != nil {
		return err
	}
	return first(equal(lease.StorageLeaseInSeconds, 86400), renamed.Delete())
}

func namedDisk(client *govcd.VCDClient, vdc *govcd.Vdc) error {
	task, err := vdc.CreateDisk(&types.DiskCreateParams{Disk: &types.Disk{
		Name: "disk-go", SizeMb: 4, BusType: "6", BusSubType: "VirtualSCSI", Description: "by Go",
	}})
	if err := finish(task, err); err != nil {
		return err
	}
	disks, err := vdc.GetDisksByName("disk-go", true)
	if err := first(err, equal(len(*disks), 1)); err != nil {
		return err
	}
	disk := (*disks)[0]
	_, vapp, err := vappOf(client, "intranet")
	if err != nil {
		return err
	}
	vm, err := vapp.GetVMByName("wiki", true)
	if err != nil {
		return err
	}
	bus, unit := 1, 5
	attachment := &types.DiskAttachOrDetachParams{Disk: &types.Reference{HREF: disk.Disk.HREF}, BusNumber: &bus, UnitNumber: &unit}
	if err := first(finish(vm.AttachDisk(attachment)), vm.Refresh(), disk.Refresh()); err != nil {
		return err
	}
	attached, err := disk.AttachedVM()
	if err := first(err, equal(attached.Name, "wiki"), diskAt(vm, bus, unit, disk.Disk.HREF)); err != nil {
		return err
	}
	if _, err := disk.Delete(); err == nil {
		return fmt.Errorf("an attached disk was deleted")
	}
	detachment := &types.DiskAttachOrDetachParams{Disk: &types.Reference{HREF: disk.Disk.HREF}}
	if err := first(finish(vm.DetachDisk(detachment)), disk.Refresh()); err != nil {
		return err
	}
	disk.Disk.SizeMb = 6
	if err := first(finish(disk.Update(disk.Disk)), disk.Refresh(), equal(disk.Disk.SizeMb, int64(6))); err != nil {
		return err
	}
	return finish(disk.Delete())
}

func diskAt(vm *govcd.VM, bus, unit int, href string) error {
	for _, settings := range vm.VM.VmSpecSection.DiskSection.DiskSettings {
		if settings.BusNumber == bus && settings.UnitNumber == unit && settings.Disk != nil {
			return equal(settings.Disk.HREF, href)
		}
	}
	return fmt.Errorf("the VM has no named disk at bus %d, unit %d", bus, unit)
}

func affinityRule(client *govcd.VCDClient, vdc *govcd.Vdc) error {
	_, vapp, err := shop(client)
	if err != nil {
		return err
	}
	references := []*types.Reference{}
	for _, vm := range vapp.VApp.Children.VM[:2] {
		references = append(references, &types.Reference{HREF: vm.HREF})
	}
	yes, no := true, false
	rule, err := vdc.CreateVmAffinityRule(&types.VmAffinityRule{
		Name: "apart-go", IsEnabled: &yes, IsMandatory: &no, Polarity: types.PolarityAntiAffinity,
		VmReferences: []*types.VMs{{VMReference: references}},
	})
	if err != nil {
		return err
	}
	rules, err := vdc.GetVmAntiAffinityRuleList()
	if err := first(err, equal(len(rules), 1)); err != nil {
		return err
	}
	if err := first(rule.SetEnabled(false), rule.Refresh(), equal(*rule.VmAffinityRule.IsEnabled, false)); err != nil {
		return err
	}
	_, err = vdc.CreateVmAffinityRule(&types.VmAffinityRule{
		Name: "alone-go", IsEnabled: &yes, IsMandatory: &no, Polarity: types.PolarityAffinity,
		VmReferences: []*types.VMs{{VMReference: references[:1]}},
	})
	return first(refused(err, "at least 2 VMs"), rule.Delete())
}
