package peertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// registrar is a Kamailio: the one that all tests share, or one that a test torments.
type registrar struct {
	*process
	ip    string
	tls   string // folder with ca.pem, cert.pem, key.pem, both.pem
	proxy string // where earshot connects to instead of ip's port 5061; "" means there
}

// shared is started by the first test that needs it.
var shared = sync.OnceValues(startKamailio)

var sharedProcess *process // set by startKamailio, read after all tests

// kamailio gives the registrar.
func kamailio(t *testing.T) registrar {
	t.Helper()
	need(t, "kamailio")
	r, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kamailio said:\n%s", tail(r.log.String(), 6000))
		}
	})
	return r
}

func stopShared() {
	if sharedProcess != nil {
		sharedProcess.kill()
	}
}

func startKamailio() (registrar, error) {
	r, err := kamailioAt(registrarIP, filepath.Join(os.Getenv(envInside), "kamailio"))
	sharedProcess = r.process
	return r, err
}

// kamailioAt starts one with certificates of its own.
func kamailioAt(ip, dir string) (registrar, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return registrar{}, err
	}
	if err := certificates(dir, "sip.test", ip); err != nil {
		return registrar{}, err
	}
	return runKamailio(ip, dir)
}

// runKamailio starts one on what lies in dir.
func runKamailio(ip, dir string) (registrar, error) {
	config := filepath.Join(dir, "kamailio.cfg")
	if err := fill("kamailio.cfg", config, struct{ IP, Dir string }{ip, dir}); err != nil {
		return registrar{}, err
	}
	// -DD: no daemon; -E: log to standard error.
	p, err := spawn(dir, os.Environ(), "kamailio", "-f", config, "-DD", "-E", "-m", "64", "-M", "8",
		"-P", filepath.Join(dir, "pid"), "-Y", dir, "-w", dir)
	if err != nil {
		return registrar{}, err
	}
	if !within(10*time.Second, func() bool { return p.ended() || answersOptions(ip) }) || p.ended() {
		p.kill()
		return registrar{}, fmt.Errorf("kamailio does not come up:\n%s", tail(p.log.String(), 2000))
	}
	return registrar{process: p, ip: ip, tls: dir}, nil
}

// answersOptions asks Kamailio over UDP whether it is there.
func answersOptions(ip string) bool {
	c, err := net.Dial("udp", net.JoinHostPort(ip, "5060"))
	if err != nil {
		return false
	}
	defer c.Close()
	_, _ = fmt.Fprintf(c, "OPTIONS sip:sip.test SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKprobe\r\nFrom: <sip:probe@sip.test>;tag=1\r\n"+
		"To: <sip:sip.test>\r\nCall-ID: probe\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", c.LocalAddr())
	_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	n, err := c.Read(make([]byte, 2048))
	return err == nil && n > 0
}

// certificates writes an authority, in place of one that was there, and its server certificate for a domain and an address.
func certificates(dir, domain, ip string) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peertest authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: domain},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{domain},
	}
	if ip != "" {
		cert.IPAddresses = []net.IP{net.ParseIP(ip)}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for name, data := range map[string][]byte{
		"ca.pem":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		"cert.pem": certPEM, "key.pem": keyPEM, "both.pem": append(append([]byte{}, certPEM...), keyPEM...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
