// Command checks drives the simulated cloud with go-vcloud-director, the client below Terraform's provider.
package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/vmware/go-vcloud-director/v2/govcd"
	"github.com/vmware/go-vcloud-director/v2/types/v56"
)

type account struct {
	URL          string `json:"url"`
	Organization string `json:"organization"`
	UserName     string `json:"userName"`
	Password     string `json:"password"`
}

type apiToken struct {
	Kind         string `json:"kind"`
	Organization string `json:"organization"`
	UserName     string `json:"userName"`
	Token        string `json:"token"`
}

type cloud struct {
	Vcd             account    `json:"vcd"`
	Tenants         []account  `json:"tenants"`
	APITokens       []apiToken `json:"apiTokens"`
	ForeignVappHref string     `json:"foreignVappHref"`
}

var described cloud

func check(name string, work func() error) bool {
	if err := work(); err != nil {
		reason := strings.Join(strings.Fields(err.Error()), " ")
		if len(reason) > 300 {
			reason = reason[:300]
		}
		fmt.Printf("FAILED govcd %s: %s\n", name, reason)
		return false
	}
	fmt.Printf("ok govcd %s\n", name)
	return true
}

func equal(actual, expected any) error {
	if !reflect.DeepEqual(actual, expected) {
		return fmt.Errorf("is %v, expected %v", actual, expected)
	}
	return nil
}

func refused(err error, needle string) error {
	if err == nil {
		return fmt.Errorf("was not refused")
	}
	if !strings.Contains(err.Error(), needle) {
		return fmt.Errorf("was refused with %q, expected %q in it", err, needle)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func connect(as account, version string) (*govcd.VCDClient, error) {
	endpoint, err := url.Parse(described.Vcd.URL + "/api")
	if err != nil {
		return nil, err
	}
	client := govcd.NewVCDClient(*endpoint, false, govcd.WithAPIVersion(version))
	return client, client.Authenticate(as.UserName, as.Password, as.Organization)
}

func main() {
	if err := json.Unmarshal([]byte(os.Getenv("VAPP_VAULT_INTEROP_CLOUD")), &described); err != nil {
		fmt.Fprintln(os.Stderr, "VAPP_VAULT_INTEROP_CLOUD:", err)
		os.Exit(2)
	}
	for _, version := range []string{"37.0", "38.0", "39.1"} {
		var client *govcd.VCDClient
		ok := check(version+": logs in", func() (err error) { client, err = connect(described.Vcd, version); return err })
		if !ok {
			continue
		}
		reads(client, version)
		if version == "39.1" {
			resources(client)
			writes(client)
		}
		check(version+": logs out", client.Disconnect)
	}
	tokens()
	check("a wrong password is refused", func() error {
		_, err := connect(account{UserName: described.Vcd.UserName, Organization: "System", Password: "wrong"}, "37.0")
		return refused(err, "401")
	})
	for _, tenant := range described.Tenants {
		if tenant.UserName == "acme-admin" {
			asTenant(tenant)
		}
	}
}

func shop(client *govcd.VCDClient) (*govcd.Vdc, *govcd.VApp, error) {
	return vappOf(client, "shop")
}

func vappOf(client *govcd.VCDClient, name string) (*govcd.Vdc, *govcd.VApp, error) {
	org, err := client.GetOrgByName("acme")
	if err != nil {
		return nil, nil, err
	}
	vdc, err := org.GetVDCByName("acme-production", true)
	if err != nil {
		return nil, nil, err
	}
	vapp, err := vdc.GetVAppByName(name, true)
	return vdc, vapp, err
}

func reads(client *govcd.VCDClient, version string) {
	check(version+": the session", func() error {
		info, err := client.Client.GetSessionInfo()
		if err != nil {
			return err
		}
		return first(equal(info.User.Name, "administrator"), equal(info.Org.Name, "System"))
	})
	check(version+": organizations", func() error {
		list, err := client.GetOrgList()
		if err != nil {
			return err
		}
		names := []string{}
		for _, org := range list.Org {
			names = append(names, org.Name)
		}
		sort.Strings(names)
		return equal(names, []string{"System", "acme", "globex"})
	})
	check(version+": organizations by query", func() error {
		orgs, err := client.QueryAllOrgs()
		return first(err, equal(len(orgs) >= 2, true))
	})
	check(version+": VDCs by query", func() error {
		org, err := client.GetOrgByName("acme")
		if err != nil {
			return err
		}
		vdcs, err := org.QueryOrgVdcList()
		return first(err, equal(len(vdcs), 2))
	})
	check(version+": vApps of a VDC", func() error {
		vdc, _, err := shop(client)
		if err != nil {
			return err
		}
		names := []string{}
		for _, reference := range vdc.GetVappList() {
			names = append(names, reference.Name)
		}
		sort.Strings(names)
		return equal(names, []string{"intranet", "shop"})
	})
	check(version+": a vApp with its VMs and sections", func() error {
		_, vapp, err := shop(client)
		if err != nil {
			return err
		}
		networks, err := vapp.GetNetworkConfig()
		if err != nil {
			return err
		}
		lease, err := vapp.GetLease()
		if err != nil {
			return err
		}
		return first(equal(len(vapp.VApp.Children.VM), 3), equal(len(networks.NetworkNames()), 2),
			equal(lease.StorageLeaseInSeconds, 5184000), equal(vapp.VApp.Owner.User.Name, "olivia"))
	})
	check(version+": a VM's disks, NICs, hardware and guest", func() error {
		_, vapp, err := shop(client)
		if err != nil {
			return err
		}
		vm, err := vapp.GetVMByName("db-1", false)
		if err != nil {
			return err
		}
		nics, err := vm.GetNetworkConnectionSection()
		if err != nil {
			return err
		}
		guest, err := vm.GetGuestCustomizationSection()
		if err != nil {
			return err
		}
		hardware, err := vm.GetVirtualHardwareSection()
		if err != nil {
			return err
		}
		spec := vm.VM.VmSpecSection
		return first(equal(len(spec.DiskSection.DiskSettings), 2), equal(*spec.NumCpus, 4), equal(*spec.NumCoresPerSocket, 2),
			equal(spec.MemoryResourceMb.Configured, int64(4096)), equal(len(nics.NetworkConnection), 2),
			equal(guest.ComputerName, "db-1"), equal(len(hardware.Item) > 4, true))
	})
	check(version+": VMs by query", func() error {
		vms, err := client.Client.QueryVmList(types.VmQueryFilterOnlyDeployed)
		return first(err, equal(len(vms), 6))
	})
	check(version+": vCenters by query", func() error {
		centers, err := govcd.QueryVirtualCenters(client, "name==vcenter-1")
		return first(err, equal(len(centers), 1))
	})
	check(version+": the admin view of an organization, its users and VDC", func() error {
		org, err := client.GetAdminOrgByName("acme")
		if err != nil {
			return err
		}
		vdc, err := org.GetAdminVDCByName("acme-production", true)
		if err != nil {
			return err
		}
		return first(equal(len(org.AdminOrg.Users.User), 4), equal(len(vdc.AdminVdc.ResourcePoolRefs.VimObjectRef) > 0, true),
			equal(len(vdc.AdminVdc.VdcStorageProfiles.VdcStorageProfile), 2))
	})
	check(version+": metadata with its types", func() error {
		_, vapp, err := shop(client)
		if err != nil {
			return err
		}
		value, err := vapp.GetMetadataByKey("tier", false)
		if err != nil {
			return err
		}
		hidden, err := vapp.GetMetadataByKey("provider-note", true)
		if err != nil {
			return err
		}
		return first(equal(value.TypedValue.Value, "1"), equal(value.TypedValue.XsiType, types.MetadataNumberValue),
			equal(hidden.TypedValue.Value, "migrated from rack 7"), equal(hidden.Domain.Visibility, "PRIVATE"))
	})
	check(version+": access rights", func() error {
		_, vapp, err := shop(client)
		if err != nil {
			return err
		}
		access, err := vapp.GetAccessControl(false)
		if err != nil {
			return err
		}
		return first(equal(access.IsSharedToEveryone, false), equal(len(access.AccessSettings.AccessSetting), 2))
	})
}

func finish(task govcd.Task, err error) error {
	if err != nil {
		return err
	}
	// What the client waits for by itself it asks for every three seconds.
	return task.WaitInspectTaskCompletion(nil, 100*time.Millisecond)
}

func writes(client *govcd.VCDClient) {
	_, vapp, err := vappOf(client, "intranet")
	if !check("a vApp to write to", func() error { return err }) {
		return
	}
	check("metadata of each type", func() error {
		return first(
			vapp.AddMetadataEntryWithVisibility("go-text", "x & <y>", types.MetadataStringValue, types.MetadataReadWriteVisibility, false),
			vapp.AddMetadataEntryWithVisibility("go-date", "2026-01-02T03:04:05.000Z", types.MetadataDateTimeValue, types.MetadataReadWriteVisibility, false),
			vapp.AddMetadataEntryWithVisibility("go-system", "7", types.MetadataNumberValue, types.MetadataHiddenVisibility, true),
			vapp.DeleteMetadataEntryWithDomain("go-text", false),
			vapp.DeleteMetadataEntryWithDomain("go-system", true))
	})
	check("name, description and lease", func() error {
		return first(vapp.UpdateNameDescription("intranet-go", "by Go"), vapp.RenewLease(3600, 7200),
			equal(vapp.VApp.Description, "by Go"), vapp.UpdateNameDescription("intranet", "Bridged and small"))
	})
	check("access rights", func() error {
		level := types.ControlAccessReadOnly
		err := vapp.SetAccessControl(&types.ControlAccessParams{IsSharedToEveryone: true, EveryoneAccessLevel: &level}, false)
		return first(err, vapp.RemoveAccessControl(false))
	})
	check("an isolated vApp network", func() error {
		_, err := vapp.CreateVappNetwork(&govcd.VappNetworkSettings{Name: "go-net", Gateway: "10.98.0.1", NetMask: "255.255.255.0",
			StaticIPRanges: []*types.IPRange{{StartAddress: "10.98.0.10", EndAddress: "10.98.0.20"}}}, nil)
		if err := first(err, vapp.Refresh()); err != nil {
			return err
		}
		_, err = vapp.RemoveNetwork("go-net")
		return err
	})
	check("a VM's processors, memory, hot add, boot options and NICs", func() error {
		vm, err := vapp.GetVMByName("wiki", true)
		if err != nil {
			return err
		}
		if err := first(vm.ChangeCPU(2, 2), vm.ChangeMemory(1024)); err != nil {
			return err
		}
		if _, err := vm.UpdateVmCpuAndMemoryHotAdd(true, false); err != nil {
			return err
		}
		delay := 1234
		if _, err := vm.UpdateBootOptions(&types.BootOptions{BootDelay: &delay}); err != nil {
			return err
		}
		nics, err := vm.GetNetworkConnectionSection()
		if err != nil {
			return err
		}
		if err := vm.UpdateNetworkConnectionSection(nics); err != nil {
			return err
		}
		return first(vm.Refresh(), equal(*vm.VM.VmSpecSection.NumCpus, 2), equal(*vm.VM.BootOptions.BootDelay, 1234))
	})
	check("guest customization", func() error {
		vm, err := vapp.GetVMByName("wiki", true)
		if err != nil {
			return err
		}
		section, err := vm.GetGuestCustomizationSection()
		if err != nil {
			return err
		}
		section.ComputerName = "wiki-go"
		written, err := vm.SetGuestCustomizationSection(section)
		return first(err, equal(written != nil && written.ComputerName == "wiki-go", true))
	})
	check("power on, power off, undeploy", func() error {
		if err := first(finish(vapp.PowerOn()), finish(vapp.PowerOff())); err != nil {
			return err
		}
		return first(vapp.Refresh(), finish(vapp.Undeploy()))
	})
	check("deletion", func() error {
		return first(vapp.Refresh(), finish(vapp.Delete()))
	})
}

func asTenant(as account) {
	var client *govcd.VCDClient
	ok := check("a tenant logs in", func() (err error) { client, err = connect(as, "37.0"); return err })
	if !ok {
		return
	}
	check("a tenant sees its vApp with its VMs", func() error {
		_, vapp, err := shop(client)
		if err != nil {
			return err
		}
		return equal(len(vapp.VApp.Children.VM), 3)
	})
	check("a tenant lists its VDCs by query", func() error {
		org, err := client.GetOrgByName("acme")
		if err != nil {
			return err
		}
		vdcs, err := org.QueryOrgVdcList()
		return first(err, equal(len(vdcs), 2))
	})
	check("another organization is out of reach", func() error {
		_, err := client.GetOrgByName("globex")
		return refused(err, "")
	})
	check("another organization's vApp is forbidden", func() error {
		org, err := client.GetOrgByName("acme")
		if err != nil {
			return err
		}
		_, err = org.GetVAppByHref(described.ForeignVappHref)
		return refused(err, "403")
	})
	check("a tenant may not ask for vCenters", func() error {
		_, err := govcd.QueryVirtualCenters(client, "name==vcenter-1")
		return refused(err, "403")
	})
	check("a tenant logs out", client.Disconnect)
}
