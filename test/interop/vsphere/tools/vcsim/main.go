// VMware's vCenter simulator on a free loopback port. It prints its URL and certificate, and ends with its standard input.
package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/vmware/govmomi/simulator"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	model := simulator.VPX()
	model.Machine = 2
	defer model.Remove()
	if err := model.Create(); err != nil {
		return err
	}
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

// vmFolder is the datacenter's folder of virtual machines: where a client that is handed nothing else begins.
func vmFolder(model *simulator.Model) string {
	for _, entity := range model.Map().All("Folder") {
		if folder := entity.Entity(); folder.Name == "vm" {
			return folder.Self.Value
		}
	}
	return ""
}
