"""Drives the simulated cloud with pyvcloud, VMware's own Python client."""

from checks import CLOUD, PROVIDER, TENANTS, URL, check, equal, refused
from pyvcloud_resources import resource_checks
from pyvcloud.vcd.client import (
    BasicLoginCredentials,
    Client,
    MetadataDomain,
    MetadataValueType,
    MetadataVisibility,
    QueryResultFormat,
    TaskStatus,
)
from pyvcloud.vcd.exceptions import (
    AccessForbiddenException,
    BadRequestException,
    ClientException,
    EntityNotFoundException,
    NotAcceptableException,
    OperationNotSupportedException,
    UnauthorizedException,
)
from pyvcloud.vcd.org import Org
from pyvcloud.vcd.platform import Platform
from pyvcloud.vcd.system import System
from pyvcloud.vcd.vapp import VApp
from pyvcloud.vcd.vdc import VDC
from pyvcloud.vcd.vm import VM

WAIT_SECONDS = 60


def log_in(account, version=None):
    client = Client(URL, api_version=version)
    client.set_credentials(BasicLoginCredentials(account["userName"], account["organization"], account["password"]))
    return client


class Checks:
    def __init__(self, version):
        self.version = version
        self.client = None

    def run(self, name, work):
        return check(f"pyvcloud {self.version or 'negotiated'}: {name}", work)

    def done(self, task):
        result = self.client.get_task_monitor().wait_for_success(task, timeout=WAIT_SECONDS, poll_frequency=0.1)
        equal(result.get("status"), TaskStatus.SUCCESS.value)

    def open(self):
        self.client = log_in(PROVIDER, self.version)
        return True

    def vdc(self, name="acme-production", org="acme"):
        return VDC(self.client, resource=Org(self.client, resource=self.client.get_org_by_name(org)).get_vdc(name))

    def vapp(self, name, vdc="acme-production", org="acme"):
        return VApp(self.client, resource=self.vdc(vdc, org).get_vapp(name))

    def vm(self, vapp, name):
        return VM(self.client, resource=self.vapp(vapp).get_vm(name))


def read_checks(c):
    """What every version answers alike."""
    c.run("the session names its user and organization", lambda: equal(
        [c.client.get_vcloud_session().get("user"), c.client.get_vcloud_session().get("org"), c.client.is_sysadmin()],
        ["administrator", "System", True]))
    c.run("organizations", lambda: equal(
        sorted(o.get("name") for o in c.client.get_org_list()), ["System", "acme", "globex"]))
    c.run("VDCs of an organization", lambda: equal(
        sorted(v["name"] for v in Org(c.client, resource=c.client.get_org_by_name("acme")).list_vdcs()), ["acme-production", "acme-test"]))
    c.run("a vApp by query", lambda: equal(c.vdc().get_vapp("shop").get("name"), "shop"))
    c.run("vApps of a VDC (ResourceEntities)", lambda: equal(
        sorted(r["name"] for r in c.vdc().list_resources() if "vApp+xml" in r["type"]), ["intranet", "shop"]))
    c.run("VMs of a vApp", lambda: equal(sorted(v.get("name") for v in c.vapp("shop").get_all_vms()), ["app-1", "db-1", "web-1"]))
    c.run("the moRef of each VM is vCenter's", lambda: equal(
        {name: c.vm("shop", name).get_moid() for name in ("web-1", "db-1", "app-1")}, CLOUD["shopMoRefs"]))
    c.run("the vCenter of a VM", lambda: equal(c.vm("shop", "web-1").get_vc(), "vcenter-1"))
    c.run("vCenters", lambda: equal([v.get("name") for v in Platform(c.client).list_vcenters()], ["vcenter-1"]))
    c.run("vCenter's instance UUID", lambda: equal(
        Platform(c.client).get_vcenter("vcenter-1").Uuid.text, CLOUD["vcenter"]["instanceUuid"]))
    c.run("a name nobody has finds nothing", lambda: refused(lambda: c.vdc().get_vapp("nobody"), EntityNotFoundException))
    if c.version not in ("33.0", "34.0"):  # pyvcloud itself encodes no value before 35.0
        c.run("a name with FIQL's own characters finds nothing", lambda: refused(
            lambda: c.vdc().get_vapp("no,such;vApp (x)"), EntityNotFoundException))


def detail_checks(c):
    """Reads beyond the inventory."""
    c.run("the maps of the query service", lambda: equal(
        ("application/vnd.vmware.vcloud.query.records+xml", "adminVApp") in c.client._get_query_list_map(), True))
    c.run("a query in pages", lambda: query_pages(c))
    c.run("a query sorted downwards, two fields only", lambda: query_sorted(c))
    c.run("datastores", lambda: equal(sorted(d["name"] for d in Platform(c.client).list_datastores()), ["san-01", "san-02"]))
    c.run("hosts", lambda: equal(sorted(h.get("name") for h in Platform(c.client).list_hosts()), ["esx-01.sim.local", "esx-02.sim.local"]))
    c.run("provider VDCs", lambda: equal([p.get("name") for p in System(
        c.client, admin_resource=c.client.get_admin()).list_provider_vdcs()], ["provider-gold"]))
    c.run("storage profiles of a VDC", lambda: equal(sorted(p.get("name") for p in c.vdc().get_storage_profiles()), ["gold", "silver"]))
    c.run("users of an organization", lambda: equal(
        sorted(u.get("name") for u in Org(c.client, resource=c.client.get_org_by_name("acme")).list_users()),
        ["acme-admin", "chen", "olivia", "raj"]))
    c.run("one user", lambda: equal(
        Org(c.client, resource=c.client.get_org_by_name("acme")).get_user("olivia").FullName.text, "Olivia Owner"))
    c.run("the lease", lambda: equal(int(c.vapp("shop").get_lease()["StorageLeaseInSeconds"]), 5184000))
    c.run("the startup section", lambda: equal(
        {i["Id"]: (i["order"], i["startDelay"], i["stopAction"]) for i in c.vapp("shop").get_startup_section()},
        {"web-1": ("2", "15", "guestShutdown"), "db-1": ("0", "60", "guestShutdown"), "app-1": ("1", "30", "powerOff")}))
    c.run("the vApp's networks", lambda: equal(
        sorted(n.get("{http://schemas.dmtf.org/ovf/envelope/1}name") for n in c.vapp("shop").get_all_networks()), ["shop-back", "shop-front"]))
    c.run("the vApp's network list", lambda: equal(sorted(n["name"] for n in c.vapp("shop").get_vapp_network_list()), ["shop-back", "shop-front"]))
    c.run("the primary address of a VM", lambda: equal(c.vapp("shop").get_primary_ip("web-1"), "192.168.10.11"))
    c.run("processors and memory", lambda: equal(
        [int(c.vm("shop", "db-1").get_cpus()["num_cpus"]), int(c.vm("shop", "db-1").get_memory())], [4, 4096]))
    c.run("NICs", lambda: equal(len(c.vm("shop", "db-1").list_nics()), 2))
    c.run("virtual hardware", lambda: equal(
        len([1 for d in c.vm("shop", "db-1").list_virtual_hardware_section(is_disk=True) if "diskElementName" in d]), 2))
    c.run("guest customization", lambda: c.vm("shop", "web-1").list_gc_section())
    c.run("the operating system section", lambda: c.vm("shop", "web-1").list_os_section())
    c.run("VM capabilities", lambda: equal(c.vm("shop", "db-1").list_vm_capabilities()["MemoryHotAddEnabled"], True))
    c.run("boot options", lambda: equal(int(c.vm("shop", "app-1").list_boot_options()["BootDelay"]), 5000))
    c.run("runtime information", lambda: c.vm("shop", "web-1").list_run_time_info())
    c.run("product sections", lambda: equal(len(c.vm("shop", "db-1").list_product_sections()), 1))
    c.run("the access list", lambda: equal(
        sorted((s.Subject.get("name"), s.AccessLevel.text) for s in c.vapp("shop").get_access_settings().AccessSettings.AccessSetting),
        [("chen", "Change"), ("raj", "ReadOnly")]))
    c.run("typed metadata", lambda: equal(
        {e.Key.text: e.TypedValue.Value.text for e in c.vapp("shop").get_metadata().MetadataEntry}["reviewed"], "2026-03-31T10:15:30.000Z"))


def query_pages(c):
    query = c.client.get_typed_query("adminVM", query_result_format=QueryResultFormat.RECORDS, page_size=2)
    equal(sorted(r.get("name") for r in query.execute() if r.get("isVAppTemplate") != "true"),
          ["app-1", "db-1", "erp-1", "sandbox-1", "web-1", "wiki"])


def query_sorted(c):
    query = c.client.get_typed_query(
        "adminVApp", query_result_format=QueryResultFormat.RECORDS, sort_desc="name", fields="name,status")
    found = list(query.execute())
    equal([r.get("name") for r in found], ["shop", "sandbox", "intranet", "erp"])
    equal([r.get("numberOfVMs") for r in found], [None] * 4)


def write_checks(c):
    c.run("maintenance mode is entered and left through the links", lambda: maintenance(c))
    c.run("metadata is set, read and removed", lambda: metadata(c))
    c.run("several metadata entries at once, on a VM", lambda: many_metadata(c))
    c.run("the lease is written", lambda: lease(c))
    c.run("the startup section is written", lambda: startup(c))
    c.run("name and description are written", lambda: rename(c))
    c.run("the owner is changed", lambda: owner(c))
    c.run("access settings are added and removed", lambda: access(c))
    c.run("shared with everyone and not", lambda: sharing(c))
    c.run("processors, memory and the VM's sections are written", lambda: vm_edits(c))
    c.run("a NIC is added and removed", lambda: nics(c))
    c.run("a vApp network is made and removed", lambda: vapp_network(c))
    c.run("power on and off, deploy and undeploy", lambda: power(c))
    c.run("a busy vApp refuses with BUSY_ENTITY", lambda: busy(c))
    c.run("a running vApp is not deleted, a stopped one is", lambda: delete(c))


def maintenance(c):
    c.vapp("intranet").enter_maintenance_mode()
    equal(c.vapp("intranet").get_resource().InMaintenanceMode.text, "true")
    record = c.client.get_typed_query("adminVApp", query_result_format=QueryResultFormat.RECORDS, equality_filter=("name", "intranet"))
    equal(record.find_unique().get("isInMaintenanceMode"), "true")
    tenant = log_in(TENANTS["acme-admin"], c.version)
    mine = VApp(tenant, href=c.vapp("intranet").get_resource().get("href"))
    equal(mine.get_resource().InMaintenanceMode.text, "true")
    refused(lambda: mine.set_lease(3600, 3600), BadRequestException, "maintenance mode")
    refused(mine.exit_maintenance_mode, OperationNotSupportedException)
    tenant.logout()
    c.vapp("intranet").exit_maintenance_mode()
    equal(hasattr(c.vapp("intranet").get_resource(), "InMaintenanceMode")
          and c.vapp("intranet").get_resource().InMaintenanceMode.text == "true", False)


def metadata(c):
    entries = [
        ("GENERAL", "READWRITE", "interop text", "a & b, \u00fc <c>", "MetadataStringValue"),
        ("GENERAL", "READWRITE", "interop-number", "42", "MetadataNumberValue"),
        ("SYSTEM", "PRIVATE", "interop-flag", "true", "MetadataBooleanValue"),
    ]
    for domain, visibility, key, value, kind in entries:
        c.done(c.vapp("intranet").set_metadata(domain, visibility, key, value, kind))
    found = {e.Key.text: (e.TypedValue.get("{http://www.w3.org/2001/XMLSchema-instance}type").split(":")[-1], e.TypedValue.Value.text)
             for e in c.vapp("intranet").get_metadata().MetadataEntry}
    for _, _, key, value, kind in entries:
        equal(found[key], (kind, value))
    query = c.client.get_typed_query(
        "adminVApp", query_result_format=QueryResultFormat.RECORDS, qfilter="metadata:interop-number==NUMBER:42")
    equal([r.get("name") for r in query.execute()], ["intranet"])
    for domain, _, key, _, _ in entries:
        c.done(c.vapp("intranet").remove_metadata(key, MetadataDomain(domain)))
    refused(lambda: c.vapp("intranet").remove_metadata("interop-number"), AccessForbiddenException)


def many_metadata(c):
    vm = VM(c.client, resource=c.vapp("intranet").get_vm("wiki"))
    c.done(vm.set_multiple_metadata(
        {"one": "1", "two": "2"}, MetadataDomain.GENERAL, MetadataVisibility.READ_WRITE, MetadataValueType.NUMBER))
    equal(sorted(e.Key.text for e in vm.get_metadata().MetadataEntry), ["one", "two"])


def lease(c):
    c.done(c.vapp("intranet").set_lease(7200, 86400))
    equal([int(c.vapp("intranet").get_lease()[k]) for k in ("DeploymentLeaseInSeconds", "StorageLeaseInSeconds")], [7200, 86400])
    refused(lambda: c.vapp("intranet").set_lease(10, 10), BadRequestException)


def startup(c):
    c.done(c.vapp("intranet").update_startup_section("wiki", order=3, start_delay=7, stop_action="guestShutdown"))
    item = c.vapp("intranet").get_startup_section()[0]
    equal((item["order"], item["startDelay"], item["stopAction"]), ("3", "7", "guestShutdown"))


def rename(c):
    c.done(c.vapp("intranet").edit_name_and_description("intranet-2", "Renamed & described"))
    equal(c.vapp("intranet-2").get_resource().Description.text, "Renamed & described")
    refused(lambda: c.vapp("intranet-2").edit_name_and_description("shop"), BadRequestException, "already exists")
    c.done(c.vapp("intranet-2").edit_name_and_description("intranet", "Bridged and small"))


def owner(c):
    org = Org(c.client, resource=c.client.get_org_by_name("acme"))
    c.vapp("intranet").change_owner(org.get_user("chen").get("href"))
    equal(c.vapp("intranet").get_resource().Owner.User.get("name"), "chen")
    other = Org(c.client, resource=c.client.get_org_by_name("globex")).get_user("gina").get("href")
    refused(lambda: c.vapp("intranet").change_owner(other), BadRequestException)


def access(c):
    # pyvcloud looks users up in the organization of its own session: the tenant's work.
    tenant = log_in(TENANTS["acme-admin"], c.version)
    vapp = VApp(tenant, href=c.vapp("intranet").get_resource().get("href"))
    result = vapp.add_access_settings([{"type": "user", "name": "olivia", "access_level": "Change"}])
    equal(result.AccessSettings.AccessSetting.Subject.get("name"), "olivia")
    result = VApp(tenant, href=vapp.href).remove_access_settings([{"type": "user", "name": "olivia"}])
    equal(hasattr(result, "AccessSettings"), False)
    tenant.logout()


def sharing(c):
    result = c.vapp("intranet").share_with_org_members("Change")
    equal((result.IsSharedToEveryone.text, result.EveryoneAccessLevel.text), ("true", "Change"))
    equal(c.vapp("intranet").unshare_from_org_members().IsSharedToEveryone.text, "false")


def vm_edits(c):
    def vm():
        return VM(c.client, resource=c.vapp("intranet").get_vm("wiki"))

    c.done(vm().modify_cpu(2, 1))
    c.done(vm().modify_memory(768))
    equal([int(vm().get_cpus()["num_cpus"]), int(vm().get_memory())], [2, 768])
    c.done(vm().update_guest_customization_section(enabled=True, change_sid=True))
    equal([vm().list_gc_section()[key] for key in ("Enabled", "ChangeSid")], [True, True])
    c.done(vm().update_boot_options(2500, True))
    equal(int(vm().list_boot_options()["BootDelay"]), 2500)
    c.done(vm().update_vm_capabilities_section(True, True))
    equal(vm().list_vm_capabilities()["CpuHotAddEnabled"], True)
    c.done(vm().edit_name("wiki-2"))
    c.done(VM(c.client, resource=c.vapp("intranet").get_vm("wiki-2")).edit_name("wiki"))


def nics(c):
    def vm():
        return VM(c.client, resource=c.vapp("intranet").get_vm("wiki"))

    before = len(vm().list_nics())
    c.done(vm().add_nic("VMXNET3", False, True, "acme-frontend", "DHCP", None))
    equal(len(vm().list_nics()), before + 1)
    c.done(vm().delete_nic(before))
    equal(len(vm().list_nics()), before)


def vapp_network(c):
    c.done(c.vapp("intranet").create_vapp_network("interop-net", "10.99.0.1/24", "made by pyvcloud"))
    equal(sorted(n["name"] for n in c.vapp("intranet").get_vapp_network_list()), ["acme-frontend", "interop-net"])
    c.done(c.vapp("intranet").update_vapp_network("interop-net", "interop-net-2", "renamed"))
    c.done(c.vapp("intranet").delete_vapp_network("interop-net-2"))
    equal([n["name"] for n in c.vapp("intranet").get_vapp_network_list()], ["acme-frontend"])


def power(c):
    c.done(c.vapp("intranet").power_on())
    equal(c.vapp("intranet").is_powered_on(), True)
    refused(c.vapp("intranet").power_on, OperationNotSupportedException)
    c.done(c.vapp("intranet").power_off())
    c.done(c.vapp("intranet").undeploy())
    equal([c.vapp("intranet").is_powered_off(), c.vapp("intranet").is_deployed()], [True, False])
    c.done(c.vapp("intranet").deploy(power_on=False))
    c.done(c.vapp("intranet").undeploy("powerOff"))
    vm = VM(c.client, resource=c.vapp("intranet").get_vm("wiki"))
    c.done(vm.power_on())
    equal(VM(c.client, resource=c.vapp("intranet").get_vm("wiki")).is_powered_on(), True)
    c.done(VM(c.client, resource=c.vapp("intranet").get_vm("wiki")).power_off())
    c.done(c.vapp("intranet").undeploy("powerOff"))


def busy(c):
    vapp = c.vapp("intranet")
    task = vapp.set_lease(7200, 7200)
    refused(lambda: vapp.set_lease(3600, 3600), BadRequestException, "is busy completing an operation")
    c.done(task)


def delete(c):
    running = c.vdc("globex-main", "globex")
    c.done(c.vapp("erp", "globex-main", "globex").power_on())
    refused(lambda: running.delete_vapp("erp"), BadRequestException)
    c.done(c.vapp("erp", "globex-main", "globex").undeploy("powerOff"))
    c.done(running.delete_vapp("erp"))
    refused(lambda: running.get_vapp("erp"), EntityNotFoundException)


def tenant_checks():
    tenant = check("pyvcloud: a tenant logs in", lambda: log_in(TENANTS["acme-admin"]))
    if tenant is None:
        return
    org = lambda: Org(tenant, resource=tenant.get_org())
    vdc = lambda: VDC(tenant, resource=org().get_vdc("acme-production"))
    check("pyvcloud: a tenant sees its own organization", lambda: equal([o.get("name") for o in tenant.get_org_list()], ["acme"]))
    check("pyvcloud: a tenant sees its VDCs", lambda: equal(
        sorted(v["name"] for v in org().list_vdcs()), ["acme-production", "acme-test"]))
    check("pyvcloud: a tenant sees no moRef", lambda: equal(
        VM(tenant, resource=VApp(tenant, resource=vdc().get_vapp("shop")).get_vm("web-1")).get_moid(), None))
    check("pyvcloud: a tenant has no extension link", lambda: refused(lambda: Platform(tenant).list_vcenters(), ClientException))
    check("pyvcloud: a tenant may not read the extension", lambda: refused(
        lambda: tenant.get_resource(f"{URL}/api/admin/extension/vimServerReferences"), AccessForbiddenException))
    check("pyvcloud: a tenant may not ask adminVM", lambda: refused(
        lambda: tenant.get_resource(f"{URL}/api/query?type=adminVM"), AccessForbiddenException))
    check("pyvcloud: another organization's vApp is forbidden, not absent", lambda: refused(
        lambda: tenant.get_resource(CLOUD["foreignVappHref"]), AccessForbiddenException))
    check("pyvcloud: a tenant may not write SYSTEM metadata", lambda: refused(lambda: VApp(
        tenant, resource=vdc().get_vapp("shop")).set_metadata("SYSTEM", "PRIVATE", "k", "v"), AccessForbiddenException))
    check("pyvcloud: after logout the session is refused", lambda: after_logout(tenant))


def after_logout(tenant):
    token = tenant.get_access_token()
    tenant.logout()
    refused(lambda: Client(URL).rehydrate_from_token(token, is_jwt_token=True), UnauthorizedException)


def main():
    tenant_checks()
    check("pyvcloud: a wrong password is refused", lambda: refused(
        lambda: log_in({**PROVIDER, "password": "wrong"}), UnauthorizedException))
    check("pyvcloud: a version nobody speaks is refused", lambda: refused(lambda: log_in(PROVIDER, "29.0"), NotAcceptableException))
    for version in ("33.0", "34.0", "35.0", None):
        c = Checks(version)
        if not c.run("logs in", c.open):
            continue
        read_checks(c)
        if version is None:
            detail_checks(c)
            resource_checks(c)
            write_checks(c)
        c.run("logs out", c.client.logout)


main()
