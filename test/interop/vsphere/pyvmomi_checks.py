"""Drives a simulated vCenter through pyVmomi. Reads its address as JSON from standard input; one line per check.

pyVmomi builds every answer from the published type tables, so a wrong type, order or name fails here.
"""
import json
import ssl
import sys
import threading
import time
import urllib.request

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

SETUP = json.load(sys.stdin)
MIB = 1024 * 1024
BLOCK = 65536
TASK_TIMEOUT_S = 20


def check(name, work):
    try:
        work()
        print(f"ok {name}", flush=True)
        return True
    except Exception as error:  # every failure is one line, and the rest still runs
        what = str(getattr(error, "msg", None) or error).replace("\n", " ")
        print(f"FAILED {name}: {type(error).__name__}: {what[:400]}", flush=True)
        return False


def expect(actual, wanted):
    if actual != wanted:
        raise AssertionError(f"{actual!r} instead of {wanted!r}")


def expect_fault(fault, work):
    try:
        work()
    except fault as error:
        expect(type(error), fault)
        return error
    raise AssertionError(f"no {fault.__name__}")


def control(method, path, body=None):
    request = urllib.request.Request(
        SETUP["control"] + path, method=method, data=None if body is None else json.dumps(body).encode()
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read() or b"{}")


def connect(password=None, user=None):
    # The certificate is self-signed: pyVmomi pins it by its SHA-256 thumbprint.
    return SmartConnect(
        host=SETUP["host"],
        port=SETUP["port"],
        user=user or SETUP["userName"],
        pwd=password or SETUP["password"],
        sslContext=ssl._create_unverified_context(),
        thumbprint=SETUP["thumbprintSha256"].replace(":", "").lower(),
    )


def wait(service, task):
    """Follows a task through WaitForUpdatesEx. Returns its result, or raises its fault."""
    collector = service.content.propertyCollector.CreatePropertyCollector()
    try:
        collector.CreateFilter(
            vmodl.query.PropertyCollector.FilterSpec(
                objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=task)],
                propSet=[vmodl.query.PropertyCollector.PropertySpec(type=vim.Task, pathSet=["info.state"])],
            ),
            True,
        )
        version, deadline = "", time.monotonic() + TASK_TIMEOUT_S
        while time.monotonic() < deadline:
            update = collector.WaitForUpdatesEx(
                version, vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=5)
            )
            if update is None:
                continue
            version = update.version
            for change in update.filterSet[0].objectSet[0].changeSet:
                if change.val == "success":
                    return task.info.result
                if change.val == "error":
                    raise task.info.error
        raise TimeoutError(f"task {task.info.key} is {task.info.state} after {TASK_TIMEOUT_S} s")
    finally:
        collector.Destroy()


def containers(service, kind):
    view = service.content.viewManager.CreateContainerView(service.content.rootFolder, [kind], True)
    try:
        return list(view.view)
    finally:
        view.Destroy()


def disk_device(size_bytes, unit, datastore):
    return vim.vm.device.VirtualDeviceSpec(
        operation="add",
        fileOperation="create",
        device=vim.vm.device.VirtualDisk(
            key=-10 - unit,
            controllerKey=-1,
            unitNumber=unit,
            capacityInKB=size_bytes // 1024,
            capacityInBytes=size_bytes,
            backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                fileName=f"[{datastore}]", diskMode="persistent", thinProvisioned=True
            ),
        ),
    )


def vm_spec(name, datastore, network):
    controller = vim.vm.device.VirtualDeviceSpec(
        operation="add", device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus="noSharing")
    )
    nic = vim.vm.device.VirtualDeviceSpec(
        operation="add",
        device=vim.vm.device.VirtualVmxnet3(
            key=-50,
            addressType="manual",
            macAddress="00:50:56:11:22:33",
            backing=vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(
                port=vim.dvs.PortConnection(
                    switchUuid=network.config.distributedVirtualSwitch.uuid, portgroupKey=network.key
                )
            ),
        ),
    )
    return vim.vm.ConfigSpec(
        name=name,
        guestId="debian12_64Guest",
        annotation="made by pyVmomi: <&> äß",
        files=vim.vm.FileInfo(vmPathName=f"[{datastore}]"),
        numCPUs=2,
        memoryMB=512,
        deviceChange=[controller, disk_device(64 * MIB, 0, datastore), disk_device(8 * MIB + 512, 1, datastore), nic],
        changeTrackingEnabled=True,
        firmware="efi",
        extraConfig=[vim.option.OptionValue(key="guestinfo.interop", value="a b & c")],
    )


def disks_of(config):
    return [device for device in config.hardware.device if isinstance(device, vim.vm.device.VirtualDisk)]


def changed_areas(vm, snapshot, disk, change_id):
    """All pages of the answer, as 64 KiB block numbers."""
    blocks, offset = set(), 0
    while offset < disk.capacityInBytes:
        page = vm.QueryChangedDiskAreas(snapshot, disk.key, offset, change_id)
        for area in page.changedArea:
            blocks.update(range(area.start // BLOCK, (area.start + area.length - 1) // BLOCK + 1))
        expect(page.startOffset, offset)
        offset = page.startOffset + page.length
    return blocks


def blocks_of(ranges):
    found = set()
    for piece in ranges:
        first, last = piece["offsetBytes"], piece["offsetBytes"] + piece["lengthBytes"] - 1
        found.update(range(first // BLOCK, last // BLOCK + 1))
    return found


def main():
    check(
        "pyVmomi: a wrong password is vim.fault.InvalidLogin",
        lambda: expect_fault(vim.fault.InvalidLogin, lambda: connect("wrong")),
    )
    service = connect()
    content = service.content
    datastore = SETUP["datastore"]
    pool = [each for each in containers(service, vim.ResourcePool) if each.name == "Resources"][0]
    folder = content.rootFolder.childEntity[0].vmFolder
    network = [each for each in containers(service, vim.dvs.DistributedVirtualPortgroup)][0]
    state = {}

    def about():
        expect((content.about.apiType, content.about.instanceUuid), ("VirtualCenter", SETUP["instanceUuid"]))
        expect(content.sessionManager.currentSession.userName, SETUP["userName"])

    check("pyVmomi: about and currentSession", about)

    def every_property():
        kinds = [
            vim.VirtualMachine, vim.HostSystem, vim.Datastore, vim.ResourcePool, vim.ClusterComputeResource,
            vim.Datacenter, vim.Folder, vim.Network, vim.dvs.DistributedVirtualPortgroup, vim.dvs.VmwareDistributedVirtualSwitch,
        ]
        for kind in kinds:
            view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
            spec = vmodl.query.PropertyCollector.FilterSpec(
                objectSet=[
                    vmodl.query.PropertyCollector.ObjectSpec(
                        obj=view,
                        skip=True,
                        selectSet=[vmodl.query.PropertyCollector.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)],
                    )
                ],
                propSet=[vmodl.query.PropertyCollector.PropertySpec(type=kind, all=True)],
            )
            found = content.propertyCollector.RetrievePropertiesEx([spec], vmodl.query.PropertyCollector.RetrieveOptions())
            if not found.objects or any(not each.propSet for each in found.objects):
                raise AssertionError(f"{kind.__name__} tells nothing")
            view.Destroy()

    check("pyVmomi: every property of every kind of object fits the published types", every_property)

    def privileges():
        manager, root = content.authorizationManager, content.rootFolder
        key = content.sessionManager.currentSession.key
        wanted = ["VirtualMachine.State.CreateSnapshot", "Global.DisableMethods"]
        by_session = manager.HasPrivilegeOnEntities([root], key, wanted)
        by_name = manager.HasUserPrivilegeOnEntities([root], SETUP["userName"], wanted)
        for answer in (by_session, by_name):
            expect([(each.privId, each.isGranted) for each in answer[0].privAvailability], [(each, True) for each in wanted])
        expect(set(wanted) <= set(manager.FetchUserPrivilegeOnEntities([root], SETUP["userName"])[0].privileges), True)
        expect(manager.roleList[0].name, "Admin")
        expect(set(wanted) <= {each.privId for each in manager.privilegeList}, True)
        expect_fault(vmodl.fault.InvalidArgument, lambda: manager.HasPrivilegeOnEntities([root], key, ["No.Such"]))

    check("pyVmomi: AuthorizationManager tells privileges by session and by name, roles, and refuses unknown ones", privileges)

    def no_permission():
        reader = connect(SETUP["reader"]["password"], SETUP["reader"]["userName"])
        vm = containers(reader, vim.VirtualMachine)[0]
        error = expect_fault(vim.fault.NoPermission, lambda: vm.CreateSnapshot_Task("no", "", False, False))
        expect((error.privilegeId, error.object), ("VirtualMachine.State.CreateSnapshot", vm))
        expect(list(error.missingPrivileges[0].privilegeIds), ["VirtualMachine.State.CreateSnapshot"])
        Disconnect(reader)

    check("pyVmomi: an account without a privilege gets vim.fault.NoPermission, which names it and the object", no_permission)

    def find():
        vm = containers(service, vim.VirtualMachine)[0]
        expect(content.searchIndex.FindByUuid(None, vm.config.instanceUuid, True, True), vm)
        expect(content.searchIndex.FindByUuid(None, vm.config.uuid, True), vm)
        expect(content.searchIndex.FindByUuid(None, "00000000-0000-0000-0000-000000000000", True, True), None)
        expect(content.searchIndex.FindByInventoryPath(content.rootFolder.childEntity[0].name).name, "DC0")

    check("pyVmomi: FindByUuid by instance and BIOS UUID, FindByInventoryPath", find)

    def create():
        state["vm"] = vm = wait(service, folder.CreateVM_Task(vm_spec("pyvmomi-1", datastore, network), pool))
        expect([disk.capacityInBytes for disk in disks_of(vm.config)], [64 * MIB, 8 * MIB + 512])
        expect((vm.config.annotation, vm.config.firmware), ("made by pyVmomi: <&> äß", "efi"))
        expect([(o.key, o.value) for o in vm.config.extraConfig], [("guestinfo.interop", "a b & c")])
        expect([each.name for each in vm.network], [network.name])

    if not check("pyVmomi: CreateVM_Task with two disks, a NIC on a port group and extraConfig", create):
        return
    vm = state["vm"]

    def duplicate():
        error = expect_fault(
            vim.fault.DuplicateName,
            lambda: wait(service, folder.CreateVM_Task(vm_spec("pyvmomi-1", datastore, network), pool)),
        )
        expect((error.name, error.object), ("pyvmomi-1", vm))

    check("pyVmomi: a taken name is vim.fault.DuplicateName, which names the other VM", duplicate)

    def power():
        wait(service, vm.PowerOnVM_Task())
        expect(vm.runtime.powerState, "poweredOn")
        error = expect_fault(vim.fault.InvalidPowerState, lambda: wait(service, vm.PowerOnVM_Task()))
        expect((error.requestedState, error.existingState), ("poweredOn", "poweredOn"))

    check("pyVmomi: power on; again is vim.fault.InvalidPowerState", power)

    def reconfigure():
        wait(service, vm.ReconfigVM_Task(vim.vm.ConfigSpec(numCPUs=4, memoryMB=1024, annotation="changed")))
        expect((vm.config.hardware.numCPU, vm.config.hardware.memoryMB, vm.config.annotation), (4, 1024, "changed"))
        stale = vim.vm.ConfigSpec(changeVersion="2001-01-01T00:00:00Z", annotation="never")
        expect_fault(vim.fault.ConcurrentAccess, lambda: wait(service, vm.ReconfigVM_Task(stale)))
        expect_fault(vmodl.fault.InvalidArgument, lambda: wait(service, vm.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=1023))))
        expect_fault(
            vim.fault.InvalidDeviceSpec,
            lambda: wait(
                service,
                vm.ReconfigVM_Task(
                    vim.vm.ConfigSpec(
                        deviceChange=[vim.vm.device.VirtualDeviceSpec(operation="remove", device=vim.vm.device.VirtualCdrom(key=3999))]
                    )
                ),
            ),
        )

    check("pyVmomi: ReconfigVM_Task, and its faults ConcurrentAccess, InvalidArgument, InvalidDeviceSpec", reconfigure)

    def changed_blocks():
        first = wait(service, vm.CreateSnapshot_Task("first", "", False, False))
        big, small = disks_of(first.config)
        written = []
        for disk, key in ((0, big), (1, small)):
            answer = control("POST", f"/guests/{vm._moId}/write", {"disk": disk, "seed": f"one-{disk}", "largeFileBytes": 3 * MIB})
            written.append(blocks_of(answer["largeFile"]))
            if not key.backing.changeId:
                raise AssertionError("a disk of the first snapshot has no change id")
        second = wait(service, vm.CreateSnapshot_Task("second", "", False, False))
        expect(changed_areas(vm, second, big, big.backing.changeId), written[0])
        expect(changed_areas(vm, second, small, small.backing.changeId), written[1])
        newer = disks_of(second.config)[0].backing.changeId
        answer = control("POST", f"/guests/{vm._moId}/write", {"disk": 0, "seed": "two", "scatteredBlocks": 25})
        scattered = blocks_of(answer["scattered"])
        wait(service, first.RemoveSnapshot_Task(False))
        third = wait(service, vm.CreateSnapshot_Task("third", "", False, False))
        expect(changed_areas(vm, third, big, newer), scattered)
        expect(changed_areas(vm, third, big, big.backing.changeId), written[0] | scattered)
        if not changed_areas(vm, third, big, "*") >= written[0] | scattered:
            raise AssertionError('"*" leaves written blocks out')
        state["third"] = third

    check("pyVmomi: QueryChangedDiskAreas answers the blocks of two generations of guest writes", changed_blocks)

    def change_id_faults():
        third = state["third"]
        foreign = "00 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00/1"
        error = expect_fault(vim.fault.FileFault, lambda: vm.QueryChangedDiskAreas(third, 2000, 0, foreign))
        expect(error.file.startswith(f"[{datastore}]"), True)
        expect_fault(vmodl.fault.InvalidArgument, lambda: vm.QueryChangedDiskAreas(third, 2999, 0, "*"))
        expect_fault(vmodl.fault.InvalidArgument, lambda: vm.QueryChangedDiskAreas(third, 2000, 2**50, "*"))

    check("pyVmomi: a foreign change id is vim.fault.FileFault; bad disks and offsets InvalidArgument", change_id_faults)

    def snapshots():
        tree = vm.snapshot.rootSnapshotList
        expect([tree[0].name, tree[0].childSnapshotList[0].name], ["second", "third"])
        expect(vm.snapshot.currentSnapshot, tree[0].childSnapshotList[0].snapshot)
        expect(tree[0].snapshot.childSnapshot, [vm.snapshot.currentSnapshot])
        gone = tree[0].snapshot
        wait(service, vm.RemoveAllSnapshots_Task())
        expect(vm.snapshot, None)
        error = expect_fault(vmodl.fault.ManagedObjectNotFound, lambda: gone.config)
        expect(error.obj, gone)
        expect_fault(vim.fault.InvalidName, lambda: wait(service, vm.CreateSnapshot_Task("", "", False, False)))

    check("pyVmomi: the snapshot tree, RemoveAllSnapshots_Task, and ManagedObjectNotFound for a removed one", snapshots)

    def long_poll():
        """An update arrives while the collector waits, not at its end."""
        collector = content.propertyCollector.CreatePropertyCollector()
        collector.CreateFilter(
            vmodl.query.PropertyCollector.FilterSpec(
                objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=vm)],
                propSet=[vmodl.query.PropertyCollector.PropertySpec(type=vim.VirtualMachine, pathSet=["config.annotation"])],
            ),
            True,
        )
        version = collector.WaitForUpdatesEx("", None).version
        options = vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=0)
        expect(collector.WaitForUpdatesEx(version, options), None)
        threading.Timer(0.5, lambda: connect_and_annotate(vm._moId)).start()
        began = time.monotonic()
        update = collector.WaitForUpdatesEx(version, vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=15))
        expect(update.filterSet[0].objectSet[0].changeSet[0].val, "from another session")
        expect(time.monotonic() - began < 10, True)
        expect_fault(vmodl.query.InvalidCollectorVersion, lambda: collector.WaitForUpdatesEx("99", None))
        collector.Destroy()

    check("pyVmomi: WaitForUpdatesEx tells of another session's change at once", long_poll)

    def browse():
        browser = [each for each in containers(service, vim.Datastore) if each.name == datastore][0].browser
        spec = vim.host.DatastoreBrowser.SearchSpec(
            matchPattern=["*.vmdk", "*.vmx"],
            query=[vim.host.DatastoreBrowser.VmDiskQuery(), vim.host.DatastoreBrowser.VmConfigQuery()],
            details=vim.host.DatastoreBrowser.FileInfo.Details(fileType=True, fileSize=True, modification=True, fileOwner=False),
        )
        found = wait(service, browser.SearchDatastore_Task(f"[{datastore}] pyvmomi-1", spec))
        kinds = {each.path: type(each)._wsdlName for each in found.file}
        expect((kinds["pyvmomi-1.vmx"], kinds["pyvmomi-1.vmdk"]), ("VmConfigFileInfo", "VmDiskFileInfo"))
        expect("pyvmomi-1-flat.vmdk" in kinds, False)
        expect(all(each.fileSize > 0 and each.modification for each in found.file), True)
        tree = wait(service, browser.SearchDatastoreSubFolders_Task(f"[{datastore}]", spec))
        expect(f"[{datastore}] pyvmomi-1/" in [each.folderPath for each in tree], True)
        expect_fault(vim.fault.FileNotFound, lambda: wait(service, browser.SearchDatastore_Task(f"[{datastore}] no-such", spec)))

    check("pyVmomi: SearchDatastore_Task and SearchDatastoreSubFolders_Task with details", browse)

    def register():
        path, uuid, address = vm.config.files.vmPathName, vm.config.instanceUuid, "00:50:56:11:22:33"
        expect_fault(vim.fault.InvalidPowerState, vm.UnregisterVM)
        expect_fault(vim.fault.InvalidPowerState, lambda: wait(service, vm.Destroy_Task()))
        wait(service, vm.PowerOffVM_Task())
        vm.UnregisterVM()
        expect_fault(vmodl.fault.ManagedObjectNotFound, lambda: vm.config)
        back = wait(service, folder.RegisterVM_Task(path, None, False, pool))
        expect((back.config.instanceUuid, back.name), (uuid, "pyvmomi-1"))
        expect([disk.capacityInBytes for disk in disks_of(back.config)], [64 * MIB, 8 * MIB + 512])
        nics = [each for each in back.config.hardware.device if isinstance(each, vim.vm.device.VirtualEthernetCard)]
        expect([(nic.macAddress, nic.backing.port.portgroupKey) for nic in nics], [(address, network.key)])
        expect([(o.key, o.value) for o in back.config.extraConfig], [("guestinfo.interop", "a b & c")])
        expect_fault(vim.fault.AlreadyExists, lambda: wait(service, folder.RegisterVM_Task(path, "other", False, pool)))
        moved = folder.CreateFolder("pyvmomi-folder")
        wait(service, moved.MoveIntoFolder_Task([back]))
        expect((back.parent, list(moved.childEntity)), (moved, [back]))
        wait(service, back.Rename_Task("pyvmomi-2"))
        expect(content.searchIndex.FindChild(moved, "pyvmomi-2"), back)
        wait(service, back.Destroy_Task())
        expect(list(moved.childEntity), [])
        wait(service, moved.Destroy_Task())

    check("pyVmomi: UnregisterVM, RegisterVM_Task, MoveIntoFolder_Task, Rename_Task, Destroy_Task", register)

    def expiry():
        control("POST", "/sessions/expire")
        expect_fault(vim.fault.NotAuthenticated, lambda: content.rootFolder.name)

    check("pyVmomi: an expired session is NotAuthenticated", expiry)

    def logout():
        other = connect()
        root = other.content.rootFolder
        expect(root.name, "Datacenters")
        Disconnect(other)
        expect_fault(vim.fault.NotAuthenticated, lambda: root.name)

    check("pyVmomi: so is one after Logout", logout)


def connect_and_annotate(vm_id):
    other = connect()
    vm = vim.VirtualMachine(vm_id, other._stub)
    wait(other, vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="from another session")))
    Disconnect(other)


if __name__ == "__main__":
    main()
