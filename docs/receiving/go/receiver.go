// A receiver of Hooklane's webhooks, with net/http. It stores, answers, and then works.
//
// Environment: WEBHOOK_SECRETS (one or more, separated by spaces), PORT (8080),
// INBOX (a file, inbox.txt).
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance   = 300 * time.Second
	largestBody = 1024 * 1024
)

var (
	anID        = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	aTimestamp  = regexp.MustCompile(`^[0-9]{1,12}$`)
	aLane       = regexp.MustCompile(`^[0-9a-f]{32}$`)
	aSequence   = regexp.MustCompile(`^[0-9]{1,18}$`)
	anEventType = regexp.MustCompile(`^[!-~]{1,512}$`)
)

// event is a line of the inbox: what is absent is a "-", the body is in base64.
type event struct{ id, lane, sequence, kind, body string }

// genuine says whether one of the signatures was made with one of the secrets, a short while ago.
func genuine(secrets [][]byte, header http.Header, body []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	if !anID.MatchString(id) || !aTimestamp.MatchString(timestamp) {
		return false
	}
	seconds, _ := strconv.ParseInt(timestamp, 10, 64)
	if time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	found := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, given := range strings.Fields(header.Get("webhook-signature")) {
			if hmac.Equal([]byte(given), []byte(expected)) {
				found = true
			}
		}
	}
	return found
}

// read is what is kept of a genuine request.
func read(header http.Header, body []byte) event {
	value := func(name string, pattern *regexp.Regexp) string {
		if found := header.Get(name); pattern.MatchString(found) {
			return found
		}
		return "-"
	}
	return event{
		id:       header.Get("webhook-id"),
		lane:     value("hooklane-lane", aLane),
		sequence: value("hooklane-sequence", aSequence),
		kind:     value("ce-type", anEventType),
		body:     base64.StdEncoding.EncodeToString(body),
	}
}

// work is your own work, one event after the other. Done twice for an event only after a crash.
func work(one event) {
	body, _ := base64.StdEncoding.DecodeString(one.body)
	fmt.Printf("working on %s %s\n", one.kind, body)
}

// inbox is what was accepted, in a file: a line an event. INBOX.done has the ids that were worked
// on.
// In a service of yours this is a table: `id` unique, the highest sequence by lane.
type inbox struct {
	lock       sync.Mutex
	file, done *os.File
	ids        map[string]bool
	highest    map[string]int64
	todo       []event
	more       *sync.Cond
}

func openInbox(path string) (*inbox, error) {
	box := &inbox{ids: map[string]bool{}, highest: map[string]int64{}}
	box.more = sync.NewCond(&box.lock)
	var workedOn, lines []string
	var err error
	if box.done, workedOn, err = wholeLines(path + ".done"); err != nil {
		return nil, err
	}
	if box.file, lines, err = wholeLines(path); err != nil {
		return nil, err
	}
	for number, line := range lines {
		part := strings.Split(line, " ")
		if len(part) != 5 {
			return nil, fmt.Errorf("line %d of %s is none of an inbox", number+1, path)
		}
		one := event{part[0], part[1], part[2], part[3], part[4]}
		box.remember(one, number >= len(workedOn))
	}
	return box, nil
}

// take keeps it for good before this returns, unless it was here, or comes too late.
func (box *inbox) take(one event) error {
	box.lock.Lock()
	defer box.lock.Unlock()
	if box.ids[one.id] || box.isLate(one) {
		return nil
	}
	_, err := fmt.Fprintln(box.file, one.id, one.lane, one.sequence, one.kind, one.body)
	if err != nil {
		return err
	}
	if err := box.file.Sync(); err != nil {
		return err
	}
	box.remember(one, true)
	return nil
}

// isLate: a request that was long under way, a later event of its lane has been here since.
func (box *inbox) isLate(one event) bool {
	known, there := box.highest[one.lane]
	sequence, err := strconv.ParseInt(one.sequence, 10, 64)
	return there && err == nil && sequence <= known
}

func (box *inbox) remember(one event, todo bool) {
	box.ids[one.id] = true
	if sequence, err := strconv.ParseInt(one.sequence, 10, 64); err == nil && one.lane != "-" {
		box.highest[one.lane] = sequence
	}
	if todo {
		box.todo = append(box.todo, one)
		box.more.Signal()
	}
}

// workOn works on one event after the other, and never ends.
func (box *inbox) workOn() {
	for {
		box.lock.Lock()
		for len(box.todo) == 0 {
			box.more.Wait()
		}
		one := box.todo[0]
		box.todo = box.todo[1:]
		box.lock.Unlock()
		work(one)
		if _, err := fmt.Fprintln(box.done, one.id); err != nil {
			log.Fatal(err)
		}
	}
}

// wholeLines opens a file to append to, and gives its lines. Half a line is what a crash left: it
// was never answered, and goes.
func wholeLines(path string) (*os.File, []string, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	found, err := io.ReadAll(file)
	if err != nil {
		return nil, nil, err
	}
	whole := found[:bytes.LastIndexByte(found, '\n')+1]
	lines := strings.Split(string(whole), "\n")
	return file, lines[:len(lines)-1], file.Truncate(int64(len(whole)))
}

func (box *inbox) answer(secrets [][]byte) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodPost {
			response.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if request.ContentLength < 0 || request.ContentLength > largestBody {
			response.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return // the sender went away
		}
		if !genuine(secrets, request.Header, body) {
			response.WriteHeader(http.StatusUnauthorized)
			return
		}
		if err := box.take(read(request.Header, body)); err != nil {
			// What cannot be stored is not answered: it comes again, to one that was started again.
			log.Fatal(err)
		}
		response.WriteHeader(http.StatusNoContent)
	}
}

func setting(name, usual string) string {
	if found := os.Getenv(name); found != "" {
		return found
	}
	return usual
}

func main() {
	var secrets [][]byte
	for _, one := range strings.Fields(os.Getenv("WEBHOOK_SECRETS")) {
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "whsec_"))
		if err != nil {
			log.Fatal("A secret in WEBHOOK_SECRETS is not base64 behind whsec_.")
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		log.Fatal("Set WEBHOOK_SECRETS to signing secrets, separated by spaces.")
	}
	box, err := openInbox(setting("INBOX", "inbox.txt"))
	if err != nil {
		log.Fatal(err)
	}
	go box.workOn()
	http.HandleFunc("/healthz", func(response http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(response, "ok")
	})
	http.HandleFunc("/webhooks", box.answer(secrets))
	server := &http.Server{Addr: "127.0.0.1:" + setting("PORT", "8080"), ReadTimeout: 20 * time.Second}
	log.Fatal(server.ListenAndServe())
}
