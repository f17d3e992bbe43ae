// Shows the OpenAPI document. No validator badge: that would ask another host.
const place = document.getElementById("reference");
SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  requestInterceptor: (request) => {
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    if (token && new URL(request.url, location).origin === location.origin) {
      request.headers["X-CSRFToken"] = decodeURIComponent(token[1]);
    }
    return request;
  },
});
