// No validator badge and no font: nothing on this page is loaded from another host.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null });
