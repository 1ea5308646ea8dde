// The in-memory collector: net/http, a slice and a mutex. What it keeps is gone when it ends.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

type event struct {
	ID         int64           `json:"id"`
	Source     string          `json:"source"`
	Action     string          `json:"action"`
	Subject    *string         `json:"subject"`
	Time       *time.Time      `json:"time"`
	ReceivedAt time.Time       `json:"received_at"`
	Data       json.RawMessage `json:"data"`
}

// Half of the slice goes when it is full: a benchmark posts more than memory holds.
const most = 200_000

type collector struct {
	mutex  sync.Mutex
	last   int64
	events []event
}

func (c *collector) keep(e *event) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.last++
	e.ID = c.last
	if len(c.events) == most {
		c.events = append(make([]event, 0, most), c.events[most/2:]...)
	}
	c.events = append(c.events, *e)
}

func (c *collector) recent(limit int) []event {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	count := max(0, min(limit, len(c.events)))
	page := make([]event, count)
	for i := range page {
		page[i] = c.events[len(c.events)-1-i]
	}
	return page
}

func (c *collector) post(w http.ResponseWriter, r *http.Request) {
	e := event{ReceivedAt: time.Now().UTC()}
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if e.Source == "" || e.Action == "" {
		http.Error(w, "source and action are required", http.StatusUnprocessableEntity)
		return
	}
	if e.Time == nil {
		e.Time = &e.ReceivedAt
	}
	c.keep(&e)
	answer(w, http.StatusCreated, e)
}

func (c *collector) get(w http.ResponseWriter, r *http.Request) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		limit = 50
	}
	answer(w, http.StatusOK, c.recent(limit))
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		log.Print(err)
	}
}

func main() {
	c := &collector{events: make([]event, 0, most)}
	http.HandleFunc("POST /events", c.post)
	http.HandleFunc("GET /events", c.get)
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
