// VMware's vCenter simulator on a free loopback port. It prints its URL and certificate, and ends with its standard input.
package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	copies := flag.Int("copies", 0, "further virtual machines to list, each a copy of the first")
	flag.Parse()
	model := simulator.VPX()
	model.Machine = 2
	defer model.Remove()
	if err := model.Create(); err != nil {
		return err
	}
	multiply(model, *copies)
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword("interop", "vcsim-Pa55&<>")}
	server := model.Service.NewServer()
	defer server.Close()

	raw := server.Certificate().Raw
	line, err := json.Marshal(map[string]string{
		"url":              fmt.Sprintf("https://%s", server.URL.Host),
		"userName":         "interop",
		"password":         "vcsim-Pa55&<>",
		"vmFolder":         vmFolder(model),
		"thumbprintSha1":   fmt.Sprintf("%X", sha1.Sum(raw)),
		"thumbprintSha256": fmt.Sprintf("%X", sha256.Sum256(raw)),
	})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// multiply adds VMs that can be listed and read. Made one by one, thousands of them would take minutes, for their files.
func multiply(model *simulator.Model, copies int) {
	first := model.Map().Any("VirtualMachine").(*simulator.VirtualMachine)
	folder := model.Map().Get(*first.Parent).(*simulator.Folder)
	for n := range copies {
		vm := &simulator.VirtualMachine{VirtualMachine: first.VirtualMachine}
		config := *first.Config
		config.InstanceUuid = fmt.Sprintf("50110000-0000-4000-8000-%012d", n)
		vm.Config = &config
		vm.Self = types.ManagedObjectReference{Type: "VirtualMachine", Value: fmt.Sprintf("vm-copy-%d", n)}
		vm.Name = fmt.Sprintf("copy-%04d", n)
		folder.ChildEntity = append(folder.ChildEntity, model.Map().PutEntity(folder, vm).Reference())
	}
}

// vmFolder is the datacenter's folder of virtual machines: where a client that is handed nothing else begins.
func vmFolder(model *simulator.Model) string {
	for _, entity := range model.Map().All("Folder") {
		if folder := entity.Entity(); folder.Name == "vm" {
			return folder.Self.Value
		}
	}
	return ""
}
